/** What every `StreamStore` must do: the same rules for the one in memory and the one on disk. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { atCommit, MemoryStore, type SessionRecord } from "@tideway/engine/hub";
import { Asking, event, folderFor, openDisk, type Retention, seqOf, TestClock } from "./opened.testing.ts";

interface Opened {
  readonly ask: Asking;
  readonly clock: TestClock;
}

let memories = 0;
const kinds: Record<string, (t: TestContext, retention?: Retention) => Promise<Opened>> = {
  async memory(_t, retention = {}) {
    const clock = new TestClock();
    const random = new SeededRandom(++memories);
    return { clock, ask: new Asking(new MemoryStore({ clock, random, ...retention })) };
  },
  disk: (t, retention = {}) => openDisk(t, folderFor(t), retention),
};

const record: SessionRecord = {
  pid: "p",
  socket: "s",
  namespace: "/",
  rooms: [{ id: 1, room: "a", from: 3, until: null }],
  data: '{"n":1}',
  startSeq: 2,
  floor: 1,
};

for (const [kind, open] of Object.entries(kinds)) {
  test(`${kind}: sequences are dense for each namespace, and callbacks come in the order of the calls`, async (t) => {
    const { ask } = await open(t);
    const trail: string[] = [];
    const all = Array.from({ length: 50 }, async (_, i) => {
      const namespace = i % 2 === 0 ? "/" : "/chat";
      trail.push(`${namespace} ${seqOf(await ask.append(namespace, event(`[${i}]`)))}`);
    });
    await Promise.all(all);
    const expected = Array.from({ length: 50 }, (_, i) => `${i % 2 === 0 ? "/" : "/chat"} ${Math.floor(i / 2) + 1}`);
    assert.deepEqual(trail, expected);
  });

  test(`${kind}: what was appended is read back whole, after a sequence and up to a limit`, async (t) => {
    const { ask, clock } = await open(t);
    // A view into memory that others use too: only its own bytes are kept.
    const shared = Buffer.from([9, 1, 2, 9]).subarray(1, 3);
    for (let i = 1; i <= 5; i++) {
      await ask.append("/", event(`["é",${i}]`, null, i === 3 ? [shared, Buffer.alloc(0)] : []));
    }
    assert.deepEqual([...shared], [1, 2], "the caller's memory stays the caller's");
    const { events, state } = await ask.read("/", 2, 2);
    assert.deepEqual(
      events.map(({ seq }) => seq),
      [3, 4],
    );
    assert.deepEqual(
      events[0]!.payload.attachments.map((attachment) => [...attachment]),
      [[1, 2], []],
    );
    assert.deepEqual(events[1], {
      seq: 4,
      at: clock.date,
      rooms: ["lobby"],
      except: ["s1"],
      payload: { json: '["é",4]', attachments: [] },
    });
    assert.deepEqual([state.last, state.oldest], [5, 1]);
    assert.deepEqual((await ask.read("/", 5)).events, []);
    assert.deepEqual((await ask.read("/empty", 0)).events, []);
  });

  test(`${kind}: a stream that nobody wrote to is at 0, with an epoch that stays`, async (t) => {
    const { ask } = await open(t);
    const state = await ask.state("/new");
    assert.deepEqual([state.last, state.oldest], [0, 1]);
    assert.notEqual(state.epoch, "");
    await ask.append("/new", event("[1]"));
    assert.equal((await ask.state("/new")).epoch, state.epoch);
    assert.notEqual((await ask.state("/other")).epoch, state.epoch);
  });

  test(`${kind}: two stores made anew never share an epoch`, async (t) => {
    const [a, b] = [await open(t), await open(t)];
    assert.notEqual((await a.ask.state("/")).epoch, (await b.ask.state("/")).epoch);
  });

  test(`${kind}: an idempotency key publishes once: the second answer is the first one's sequence`, async (t) => {
    const { ask } = await open(t);
    const [first, second] = await Promise.all([ask.append("/", event("[1]", "k")), ask.append("/", event("[2]", "k"))]);
    assert.deepEqual(
      [first, second].map((result) => result.ok && [result.seq, result.duplicate]),
      [
        [1, false],
        [1, true],
      ],
    );
    assert.equal(seqOf(await ask.append("/", event("[3]"))), 2);
    assert.equal(seqOf(await ask.append("/other", event("[4]", "k"))), 1);
    assert.equal((await ask.read("/", 0)).events.length, 2);
  });

  test(`${kind}: sessions are kept, replaced and dropped`, async (t) => {
    const { ask } = await open(t);
    assert.equal(await ask.save(record), true);
    assert.deepEqual(await ask.load("p"), record);
    await ask.save({ ...record, rooms: [] });
    assert.deepEqual((await ask.load("p"))?.rooms, []);
    ask.drop("p");
    assert.equal(await ask.load("p"), null);
    assert.equal(await ask.load("__proto__"), null);
  });

  test(`${kind}: a sequence that the hub did not know is the stream's last at the commit, and stays so`, async (t) => {
    const { ask } = await open(t);
    const session: SessionRecord = {
      ...record,
      startSeq: atCommit,
      floor: 0,
      rooms: [{ id: 1, room: "a", from: atCommit, until: null }],
    };
    const left = { id: 1, room: "a", from: atCommit, until: atCommit };
    const rooms = [left, { id: 2, room: "b", from: atCommit, until: null }];
    const appends = [
      ask.append("/", event("[1]")),
      ask.save(session),
      ask.append("/", event("[2]")),
      ask.save({ ...session, rooms }),
      ask.append("/", event("[3]")),
      ask.save({ ...session, rooms }),
    ];
    await Promise.all(appends);
    const kept = await ask.load("p");
    assert.equal(kept?.startSeq, 1);
    assert.deepEqual(kept?.rooms, [
      { id: 1, room: "a", from: 1, until: 2 },
      { id: 2, room: "b", from: 2, until: null },
    ]);
  });

  test(`${kind}: events older than the retention go, with their keys; the sequence does not start again`, async (t) => {
    const { ask, clock } = await open(t, { retentionMs: 60_000 });
    await ask.append("/", event("[1]", "k"));
    clock.advance(61_000);
    await ask.append("/", event("[2]"));
    await ask.append("/", event("[3]"));
    const { events, state } = await ask.read("/", 0);
    assert.deepEqual(
      events.map(({ seq }) => seq),
      [2, 3],
    );
    assert.equal(state.oldest, 2);
    assert.equal(seqOf(await ask.append("/", event("[4]", "k"))), 4, "an old key is forgotten");
  });

  test(`${kind}: at most so many bytes are kept: the oldest go first`, async (t) => {
    const { ask, clock } = await open(t, { retentionBytes: 10_000 });
    const big = JSON.stringify(["x".repeat(1000)]);
    for (let i = 0; i < 30; i++) await ask.append("/", event(big));
    clock.advance(11_000);
    await ask.append("/", event(big));
    const { events, state } = await ask.read("/", 0);
    assert.ok(events.length > 5 && events.length < 11, `${events.length} events are kept`);
    assert.equal(events.at(-1)!.seq, 31);
    assert.equal(state.oldest, events[0]!.seq);
  });
}

test("memory and disk give the same answers to the same random history", async (t) => {
  const random = new SeededRandom(11);
  const below = (n: number) => Math.floor(random.fraction() * n);
  const [memory, disk] = [(await kinds["memory"]!(t)).ask, (await kinds["disk"]!(t)).ask];
  const both = async <T>(call: (ask: Asking) => Promise<T>): Promise<[T, T]> => Promise.all([call(memory), call(disk)]);
  const checks: Promise<void>[] = [];
  const same = <T>(call: (ask: Asking) => Promise<T>, view: (answer: T) => unknown = (answer) => answer) => {
    checks.push(both(call).then(([a, b]) => assert.deepEqual(view(a), view(b))));
  };
  for (let step = 0; step < 2_000; step++) {
    const namespace = ["/", "/a", "/b"][below(3)]!;
    const dice = below(10);
    if (dice < 5) {
      const given = event(
        `[${step}]`,
        below(3) === 0 ? `k${below(40)}` : null,
        below(4) === 0 ? [random.bytes(3)] : [],
      );
      same((ask) => ask.append(namespace, given));
    } else if (dice < 7) {
      const seq = () => (below(2) === 0 ? atCommit : below(50));
      const rooms = Array.from({ length: below(4) }, (_, id) => {
        return { id, room: `r${below(3)}`, from: seq(), until: below(2) === 0 ? null : seq() };
      });
      const given = { ...record, pid: `p${below(5)}`, namespace, rooms, startSeq: seq() };
      same((ask) => ask.save(given));
    } else if (dice < 8) {
      const pid = `p${below(6)}`;
      same((ask) => ask.load(pid));
    } else if (dice < 9) {
      const pid = `p${below(6)}`;
      for (const ask of [memory, disk]) ask.drop(pid);
    } else {
      const [after, limit] = [below(300), below(50)];
      same(
        (ask) => ask.read(namespace, after, limit),
        ({ events, state: { last, oldest } }) => ({
          events: events.map(({ payload, ...rest }) => {
            return { ...rest, json: payload.json, attachments: payload.attachments.map((bytes) => [...bytes]) };
          }),
          last,
          oldest,
        }),
      );
    }
    if (below(30) === 0) await Promise.all(checks.splice(0));
  }
  await Promise.all(checks);
});
