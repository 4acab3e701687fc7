import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { Member, Pool, type PoolOptions, type ProbeDone } from "./index.ts";
import { RawServer, WatchedLog } from "./testing.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

interface Rig {
  readonly pool: Pool;
  readonly clock: FakeClock;
  readonly log: WatchedLog;
  /** The probes under way, by the port that is asked. */
  readonly asked: Map<number, ProbeDone>;
  answer(port: number, passed: boolean): void;
  member(id: string): Member;
}

/** A pool whose probes are answered by the test. */
function rig(options: Partial<PoolOptions> = {}): Rig {
  const clock = new FakeClock();
  const log = new WatchedLog();
  const asked = new Map<number, ProbeDone>();
  const pool = new Pool(
    {
      name: "db",
      clock,
      random: new SeededRandom(1),
      logger: log,
      probe: ({ port }, done) => {
        asked.set(port, done);
        return { cancel: () => void asked.delete(port) };
      },
      ...options,
    },
    (address, owner, now) => new Member(address, owner, now),
  );
  open.push(pool);
  const answer = (port: number, passed: boolean) => {
    const done = asked.get(port)!;
    asked.delete(port);
    done(passed, passed ? "" : "no");
  };
  return { pool, clock, log, asked, answer, member: (id) => pool.members.find((each) => each.id === id)! };
}

/** A pool of "a", "b", "c" at the ports 1, 2, 3, all up. */
function three(options: Partial<PoolOptions> = {}): Rig {
  const made = rig(options);
  for (const [i, id] of ["a", "b", "c"].entries()) {
    made.pool.add({ id, host: "192.0.2.1", port: i + 1 });
    made.answer(i + 1, true);
  }
  return made;
}

describe("a pool of instances of any protocol", () => {
  it("gives out nobody before its first good probe", () => {
    const { pool, answer } = rig();
    assert.ok(pool.add({ id: "a", host: "192.0.2.1", port: 1 }));
    assert.ok(!pool.add({ id: "a", host: "192.0.2.1", port: 2 }));
    assert.equal(pool.pick(""), null);
    assert.ok(pool.isPromising(1000));
    answer(1, true);
    assert.equal(pool.pick("")!.id, "a");
  });

  it("counts what is under way, for the policy and for who drains", () => {
    const { pool, clock, member } = three();
    for (const id of ["a", "b"]) member(id).begin(clock.now());
    assert.equal(pool.pick("")!.id, "c");
    let drained = false;
    pool.drain("a", () => {
      drained = true;
    });
    assert.equal(pool.pick("", [member("b"), member("c")]), null);
    assert.ok(!drained);
    member("a").end();
    assert.ok(drained);
    assert.equal(pool.status()[0]!.state, "draining");
  });

  it("an instance without answers is ejected, is asked at once, and comes back with a good probe", () => {
    const { pool, clock, log, asked, answer, member } = three();
    assert.equal(asked.size, 0);
    for (let i = 0; i < 2; i++) {
      member("b").begin(clock.now());
      member("b").failed("refused");
      member("b").end();
    }
    assert.equal(pool.status()[1]!.state, "down");
    assert.ok(log.lines.some(({ level, message }) => level === "warn" && message === "instance is down"));
    assert.equal(new Set(Array.from({ length: 6 }, () => pool.pick("")!.id)).has("b"), false);
    clock.advance(100);
    answer(2, true);
    assert.equal(pool.status()[1]!.state, "up");
  });

  it("tells when there is room: after each end, and when one comes up", () => {
    let told = 0;
    const { clock, member } = three({ onRoom: () => void told++ });
    assert.equal(told, 3);
    member("a").begin(clock.now());
    member("a").end();
    assert.equal(told, 4);
  });

  it("a removed instance is forgotten once nothing is under way there", () => {
    const { pool, clock, member } = three();
    const leaving = member("a");
    leaving.begin(clock.now());
    pool.remove("a");
    assert.deepEqual(
      pool.status().map(({ id }) => id),
      ["b", "c"],
    );
    assert.deepEqual([...pool.leaving], [leaving]);
    leaving.end();
    assert.equal(pool.leaving.size, 0);
  });

  it("closed: nobody is asked any more", () => {
    const { pool, clock } = three();
    pool.close();
    assert.equal(clock.pendingCount, 0);
    assert.ok(!pool.add({ id: "d", host: "192.0.2.1", port: 4 }));
  });

  it("without a path it is enough that the port takes a connection", async () => {
    const server = await RawServer.open(() => {});
    open.push(server);
    const { pool, log } = rig({ probe: undefined! });
    pool.add({ id: "a", host: "127.0.0.1", port: server.port });
    await log.state("a", "up");
    assert.deepEqual(server.heads, []);
  });
});
