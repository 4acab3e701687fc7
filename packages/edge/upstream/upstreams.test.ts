import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import type { Resolve, Resolved, UpstreamAddress } from "./index.ts";
import { WatchedLog } from "./testing.ts";
import { Upstreams } from "./upstreams.ts";

interface Rig {
  readonly clock: FakeClock;
  readonly log: WatchedLog;
  readonly upstreams: Upstreams;
  /** What names resolve to: an error's code, or addresses with a time to live. */
  readonly zone: Map<string, string | Resolved>;
  /** Every question, with its time. */
  readonly asked: { name: string; at: number }[];
  changes: number;
  /** Ids, and where they are. */
  instances(): Record<string, string>;
  /** Moves time, and lets what was asked be answered. */
  pass(ms: number): Promise<void>;
}

function rig(): Rig {
  const clock = new FakeClock();
  const log = new WatchedLog();
  const zone = new Map<string, string | Resolved>();
  const asked: { name: string; at: number }[] = [];
  const resolve: Resolve = (name) => {
    asked.push({ name, at: clock.now() });
    const found = zone.get(name) ?? "ENOTFOUND";
    if (typeof found !== "string") return Promise.resolve(found);
    return Promise.reject(Object.assign(new Error(found), { code: found }));
  };
  const made: Rig = {
    clock,
    log,
    zone,
    asked,
    changes: 0,
    upstreams: new Upstreams({
      name: "api",
      clock,
      random: new SeededRandom(1),
      logger: log,
      resolve,
      onChange: () => void made.changes++,
    }),
    instances: () =>
      Object.fromEntries([...made.upstreams.instances()].map(([id, { host, port }]) => [id, `${host} ${port}`])),
    pass: async (ms) => {
      for (let left = ms; left > 0; left -= 100) {
        clock.advance(Math.min(100, left));
        await new Promise(setImmediate);
      }
    },
  };
  return made;
}

/** Configured, and asked for once. */
async function configured(zone: Record<string, string | Resolved>, ...list: UpstreamAddress[]): Promise<Rig> {
  const made = rig();
  for (const [name, found] of Object.entries(zone)) made.zone.set(name, found);
  made.upstreams.set(list);
  await new Promise(setImmediate);
  return made;
}

const to = (ttlMs: number, ...addresses: string[]): Resolved => ({ addresses, ttlMs });
const app: UpstreamAddress = { host: "app.test", port: 80 };

describe("the instances that upstreams are", () => {
  it("an address is one, without a question", async () => {
    const { instances, asked } = await configured(
      {},
      { host: "10.0.0.1", port: 80 },
      { host: "::1", port: 81 },
      { host: "10.0.0.2", port: 82, id: "second" },
    );
    assert.deepEqual(instances(), { "10.0.0.1:80": "10.0.0.1 80", "[::1]:81": "::1 81", second: "10.0.0.2 82" });
    assert.deepEqual(asked, []);
  });

  it("a name is one for each of its addresses, of either family, with the weight of the name", async () => {
    const { instances, upstreams } = await configured(
      { "app.test": to(5000, "10.0.0.2", "10.0.0.1", "2001:db8::1") },
      { ...app, weight: 3 },
    );
    assert.deepEqual(instances(), {
      "app.test:80/10.0.0.1": "10.0.0.1 80",
      "app.test:80/10.0.0.2": "10.0.0.2 80",
      "app.test:80/2001:db8::1": "2001:db8::1 80",
    });
    assert.deepEqual(new Set([...upstreams.instances().values()].map(({ weight }) => weight)), new Set([3]));
  });

  it("a name at two ports is asked for once", async () => {
    const { instances, asked } = await configured({ "app.test": to(5000, "10.0.0.1") }, app, { ...app, port: 81 });
    assert.equal(Object.keys(instances()).length, 2);
    assert.equal(asked.length, 1);
  });

  it("more addresses than anybody has are not used", async () => {
    const many = Array.from({ length: 200 }, (_, i) => `10.0.1.${i}`);
    const { instances } = await configured({ "app.test": to(5000, ...many) }, app);
    assert.equal(Object.keys(instances()).length, 64);
  });
});

describe("a name over time", () => {
  it("is asked for again when its record expires, not later, and a little before", async () => {
    const { asked, pass, upstreams } = await configured({ "app.test": to(60_000, "10.0.0.1") }, app);
    await pass(53_900);
    assert.equal(asked.length, 1);
    await pass(6_200);
    assert.equal(asked.length, 2);
    assert.ok(upstreams.status()[0]!.nextMs > 50_000);
  });

  it("what changed is told; what did not is not", async () => {
    const made = await configured({ "app.test": to(5000, "10.0.0.1", "10.0.0.2") }, app);
    const { changes } = made;
    made.zone.set("app.test", to(5000, "10.0.0.2", "10.0.0.1"));
    await made.pass(5000);
    assert.equal(made.changes, changes);
    made.zone.set("app.test", to(5000, "10.0.0.2", "10.0.0.3"));
    await made.pass(5000);
    assert.equal(made.changes, changes + 1);
    assert.deepEqual(Object.keys(made.instances()), ["app.test:80/10.0.0.2", "app.test:80/10.0.0.3"]);
  });

  it("that does not resolve any more keeps its last addresses, and is asked for again ever less often", async () => {
    const { zone, asked, pass, instances, log, upstreams } = await configured(
      { "app.test": to(1000, "10.0.0.1") },
      app,
    );
    zone.set("app.test", "ETIMEOUT");
    await pass(100_000);
    assert.deepEqual(Object.keys(instances()), ["app.test:80/10.0.0.1"]);
    const gaps = asked.slice(2).map(({ at }, i) => at - asked[i + 1]!.at);
    for (const [i, most] of [1000, 2000, 4000, 8000, 16_000, 30_000].entries())
      assert.ok(gaps[i]! > most * 0.85 && gaps[i]! <= most + 100, `${gaps}`);
    assert.equal(log.lines.filter(({ message }) => message === "name does not resolve").length, 1);
    assert.equal(upstreams.status()[0]!.fault, "ETIMEOUT");
    zone.set("app.test", to(1000, "10.0.0.1"));
    await pass(30_000);
    assert.equal(upstreams.status()[0]!.fault, "");
    assert.ok(log.lines.some(({ message }) => message === "name resolves again"));
  });

  it("that never did is asked for again and again; whoever waits for it does so for a while only", async () => {
    const { zone, pass, instances, upstreams } = await configured({}, app);
    assert.deepEqual(instances(), {});
    assert.ok(upstreams.isPromising(5000));
    await pass(5000);
    assert.ok(!upstreams.isPromising(5000));
    zone.set("app.test", to(1000, "10.0.0.1"));
    await pass(10_000);
    assert.deepEqual(Object.keys(instances()), ["app.test:80/10.0.0.1"]);
  });

  it("answered in part keeps what the other part may still say", async () => {
    const made = await configured({ "app.test": to(5000, "10.0.0.1", "2001:db8::1") }, app);
    made.zone.set("app.test", { ...to(5000, "10.0.0.2"), partial: true });
    await made.pass(5000);
    assert.equal(Object.keys(made.instances()).length, 3);
    made.zone.set("app.test", to(5000, "10.0.0.2"));
    await made.pass(5000);
    assert.deepEqual(Object.keys(made.instances()), ["app.test:80/10.0.0.2"]);
  });

  it("a record without time, or with too much of it, is asked for again within bounds", async () => {
    const none = await configured({ "app.test": to(0, "10.0.0.1") }, app);
    await none.pass(10_000);
    assert.ok(none.asked.length <= 12, `${none.asked.length}`);
    const long = await configured({ "app.test": to(1e12, "10.0.0.1") }, app);
    assert.ok(long.upstreams.status()[0]!.nextMs <= 3_600_000);
  });

  it("no address is as good as no answer", async () => {
    const { instances, upstreams } = await configured({ "app.test": to(5000) }, app);
    assert.deepEqual(instances(), {});
    assert.equal(upstreams.status()[0]!.fault, "no address");
  });
});

describe("configured anew", () => {
  it("a name that stays keeps what is known of it; one that left is not asked for any more", async () => {
    const made = await configured({ "app.test": to(5000, "10.0.0.1"), "old.test": to(5000, "10.0.0.9") }, app, {
      host: "old.test",
      port: 80,
    });
    made.upstreams.set([app, { host: "10.0.0.5", port: 80 }]);
    assert.deepEqual(Object.keys(made.instances()), ["app.test:80/10.0.0.1", "10.0.0.5:80"]);
    assert.equal(made.asked.length, 2);
    await made.pass(20_000);
    assert.ok(made.asked.slice(2).every(({ name }) => name === "app.test"));
    assert.equal(made.upstreams.status().length, 1);
  });

  it("closed, nothing is asked for and nothing told", async () => {
    const made = await configured({ "app.test": to(1000, "10.0.0.1") }, app);
    made.upstreams.close();
    await made.pass(10_000);
    assert.equal(made.asked.length, 1);
    assert.equal(made.clock.pendingCount, 0);
  });

  it("an answer that comes after the name has left is dropped", async () => {
    const made = rig();
    made.zone.set("app.test", to(1000, "10.0.0.1"));
    made.upstreams.set([app]);
    made.upstreams.set([]);
    await new Promise(setImmediate);
    assert.deepEqual(made.instances(), {});
    assert.equal(made.clock.pendingCount, 0);
  });
});
