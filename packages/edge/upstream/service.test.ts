import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import type { Resolve, ServiceSettings } from "./index.ts";
import { ok, raw, Sent, serviceOf, until, withInstance } from "./sent.testing.ts";
import { asker, type RawAnswer, SocketClock } from "./testing.ts";

const answers: RawAnswer = (socket) => socket.write(ok);
const states = (service: { status(): { instances: readonly { id: string; state: string }[] } }) =>
  Object.fromEntries(service.status().instances.map(({ id, state }) => [id, state]));

describe("a service that is configured anew", () => {
  it("keeps the instances that stay, with their connections and what is under way there", async () => {
    const held: Socket[] = [];
    const [one, two, three] = [await raw((s) => void held.push(s)), await raw(answers), await raw(answers)];
    const at = ({ port }: { port: number }, weight = 1) => ({ host: "127.0.0.1", port, weight });
    const { service, log } = serviceOf({ balance: "round-robin", upstreams: [at(one), at(two)] });
    await log.state(`127.0.0.1:${one.port}`, "up");
    await log.state(`127.0.0.1:${two.port}`, "up");
    const [under, over] = [new Sent(service), new Sent(service)];
    assert.equal(await over.over, "end");
    await until(() => held.length === 1);
    service.configure({ balance: "round-robin", upstreams: [at(one, 3), at(two), at(three)] });
    assert.deepEqual(Object.values(states(service)), ["up", "up", "checking"]);
    assert.equal(service.status().instances[0]!.weight, 3);
    assert.equal(service.status().instances[1]!.idle, 1);
    held[0]!.write(ok);
    assert.equal(await under.over, "end");
    const again = new Sent(service, false);
    assert.equal(again.connection, under.connection);
    await until(() => held.length === 2 || one.heads.length === 2);
    held.at(-1)!.write(ok);
    assert.equal(await again.over, "end");
  });

  it("an instance that was taken out gets nothing new, and finishes what it has", async () => {
    const held: Socket[] = [];
    const [old, young] = [await raw((s) => void held.push(s)), await raw(answers)];
    const { service, log } = serviceOf({ upstreams: [{ host: "127.0.0.1", port: old.port }] });
    await log.state(`127.0.0.1:${old.port}`, "up");
    const under = new Sent(service);
    await until(() => held.length === 1);
    service.configure({ upstreams: [{ host: "127.0.0.1", port: young.port }] });
    assert.deepEqual(Object.keys(states(service)), [`127.0.0.1:${young.port}`]);
    const next = new Sent(service);
    assert.equal(await next.over, "end");
    assert.equal(next.connection!.instance.port, young.port);
    held[0]!.write(ok);
    assert.equal(await under.over, "end");
    await until(() => old.sockets.size === 0);
  });

  it("what was weighted or drained by hand stays so, unless the configuration changes it", async () => {
    const [one, two] = [await raw(answers), await raw(answers)];
    const [a, b] = [
      { id: "a", host: "127.0.0.1", port: one.port },
      { id: "b", host: "127.0.0.1", port: two.port },
    ];
    const { service } = serviceOf({ upstreams: [a, b] });
    service.setWeight("a", 7);
    service.drain("b");
    service.configure({ upstreams: [a, b] });
    assert.equal(service.status().instances[0]!.weight, 7);
    assert.equal(states(service)["b"], "draining");
    service.configure({ upstreams: [{ ...a, weight: 2 }, b] });
    assert.equal(service.status().instances[0]!.weight, 2);
  });

  it("another place under the same id is another instance", async () => {
    const [one, two] = [await raw(answers), await raw(answers)];
    const { service, log } = serviceOf({ upstreams: [{ id: "a", host: "127.0.0.1", port: one.port }] });
    await log.state("a", "up");
    service.configure({ upstreams: [{ id: "a", host: "127.0.0.1", port: two.port }] });
    assert.equal(states(service)["a"], "checking");
    await log.state("a", "up", 2);
    assert.equal(await new Sent(service).over, "end");
    assert.equal(two.heads.length, 1);
  });

  it("limits hold for connections that are open already", async () => {
    const clock = new SocketClock();
    const server = await raw((socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\na"));
    const { service } = await withInstance(server, { clock, health: { everyMs: 1e9 } });
    const sent = new Sent(service);
    await until(() => sent.trail.length === 2);
    clock.advance(60_000);
    assert.equal(sent.fault, null);
    service.configure({ health: { everyMs: 1e9 }, limits: { upstreamBodyIdleMs: 1000 } });
    clock.advance(500);
    assert.equal(await sent.over, "timeout");
  });

  it("an instance that had too much to do has room when its bound grows", async () => {
    const held: Socket[] = [];
    const server = await raw((socket) => void held.push(socket));
    const { service } = await withInstance(server, { requestsMax: 1 });
    const [one, two] = [new Sent(service), new Sent(service)];
    await until(() => held.length === 1);
    assert.equal(service.status().waiting, 1);
    service.configure({ requestsMax: 2 });
    assert.equal(service.status().waiting, 0);
    await until(() => held.length === 2);
    for (const socket of held) socket.write(ok);
    assert.deepEqual([await one.over, await two.over], ["end", "end"]);
  });
});

describe("a service of names", () => {
  /** Answers when the test says so. */
  function zone(): { resolve: Resolve; say(addresses: string[]): Promise<void>; fail(): Promise<void> } {
    let waiting: PromiseWithResolvers<{ addresses: string[]; ttlMs: number }> | null = null;
    const asked = async () => {
      await until(() => waiting !== null);
      const now = waiting!;
      waiting = null;
      return now;
    };
    return {
      resolve: () => {
        waiting = Promise.withResolvers();
        return waiting.promise;
      },
      say: async (addresses) => (await asked()).resolve({ addresses, ttlMs: 1e6 }),
      fail: async () => (await asked()).reject(Object.assign(new Error("no"), { code: "ENOTFOUND" })),
    };
  }

  it("requests wait for the first answer, and then for the instances that it brings", async () => {
    const server = await raw(answers);
    const { resolve, say } = zone();
    const { service } = serviceOf({ resolve, upstreams: [{ host: "app.test", port: server.port }] });
    const sent = new Sent(service);
    assert.equal(service.status().waiting, 1);
    await say(["127.0.0.1"]);
    assert.equal(await sent.over, "end");
    assert.equal(sent.connection!.instance.id, `app.test:${server.port}/127.0.0.1`);
    assert.deepEqual(service.status().names[0]!.addresses, ["127.0.0.1"]);
  });

  it("that does not resolve answers nobody, at once after a while; another service is not touched by that", async () => {
    const clock = new SocketClock();
    const { resolve, fail } = zone();
    const { service } = serviceOf({ clock, resolve, upstreams: [{ host: "app.test", port: 1 }] });
    const other = (await withInstance(await raw(answers))).service;
    const waits = new Sent(service);
    await fail();
    assert.equal(await new Sent(other).over, "end");
    clock.advance(5250);
    assert.equal(await waits.over, "unavailable");
    assert.equal(await new Sent(service).over, "unavailable");
    assert.equal(service.counters().unavailable, 1);
    assert.equal(service.status().names[0]!.fault, "ENOTFOUND");
  });

  it("a dead one at the start: requests wait as long as one may hope, then are refused at once", async () => {
    const clock = new SocketClock();
    const { service } = serviceOf({
      clock,
      upstreams: [{ host: "192.0.2.1", port: 1 }],
      probe: (_target, done) => clock.after(1, () => done(false, "ECONNREFUSED")),
    });
    const waits = new Sent(service);
    clock.advance(5250);
    assert.equal(await waits.over, "unavailable");
    assert.equal(await new Sent(service).over, "unavailable");
    assert.equal(service.status().instances[0]!.state, "checking");
  });
});

describe("the queue", () => {
  it("nobody overtakes: who comes while others wait stands behind them", async () => {
    const held: Socket[] = [];
    const server = await raw((socket) => void held.push(socket));
    const { service } = await withInstance(server, { requestsMax: 1 });
    const order: number[] = [];
    const sent = [0, 1, 2, 3].map((i) => {
      const one = new Sent(service);
      void one.over.then(() => order.push(i));
      return one;
    });
    service.cancel(sent[2]!);
    for (let i = 0; i < 3; i++) {
      await until(() => held.length > i);
      held[i]!.write(ok);
    }
    await sent[3]!.over;
    assert.deepEqual(order, [0, 1, 3]);
    assert.equal(sent[2]!.connection, null);
  });

  it("who waited too long is refused, in whatever order the deadlines are", async () => {
    const clock = new SocketClock();
    const server = await raw(() => {});
    const settings: ServiceSettings = { requestsMax: 1, health: { everyMs: 1e9 } };
    const { service } = await withInstance(server, { clock, ...settings });
    new Sent(service);
    await until(() => server.heads.length === 1);
    const patient = new Sent(service);
    service.configure({ ...settings, limits: { upstreamWaitMs: 1000 } });
    const hasty = new Sent(service);
    clock.advance(1250);
    assert.equal(await hasty.over, "deadline");
    assert.equal(service.status().waiting, 1);
    clock.advance(4000);
    assert.equal(await patient.over, "deadline");
    const { queued, queueTimeouts } = service.counters();
    assert.deepEqual([queued, queueTimeouts], [2, 2]);
  });
});

describe("what a service tells of itself", () => {
  it("counts, by instance and together; what was removed stays counted", async () => {
    const [good, bad] = [await raw(answers), await raw((socket) => socket.destroy())];
    const { service, log } = serviceOf({ balance: "round-robin" });
    service.add({ id: "good", host: "127.0.0.1", port: good.port });
    service.add({ id: "bad", host: "127.0.0.1", port: bad.port });
    await log.state("good", "up");
    await log.state("bad", "up");
    const ends: string[] = [];
    for (let i = 0; i < 4; i++) {
      service.onRequest();
      ends.push(await new Sent(service).over);
    }
    assert.deepEqual(ends.sort(), ["broken", "broken", "end", "end"]);
    assert.ok(service.takeRetry());
    assert.equal(await new Sent(service, true).over, "end");
    const { requests, retries, failures, ejections, instances } = service.counters();
    assert.deepEqual(
      { requests, retries, failures, ejections },
      { requests: 4, retries: 1, failures: 2, ejections: 1 },
    );
    assert.deepEqual(instances, [
      { id: "good", requests: 3, retries: 1, failures: 0, ejections: 0 },
      { id: "bad", requests: 2, retries: 0, failures: 2, ejections: 1 },
    ]);
    service.remove("bad");
    assert.deepEqual([service.counters().failures, service.counters().ejections], [2, 1]);
  });

  it("status says of each instance how it does and why", async () => {
    const server = await raw(answers);
    const { service } = await withInstance(server, { slowStartMs: 1e9 });
    await new Sent(service).over;
    const { latencyMs, forMs, weightNow, ...rest } = service.status().instances[0]!;
    assert.deepEqual(rest, {
      id: "a",
      host: "127.0.0.1",
      port: server.port,
      weight: 1,
      state: "up",
      why: "probe passed",
      active: 0,
      connections: 1,
      idle: 1,
      breaker: "closed",
      requests: 1,
      retries: 0,
      failures: 0,
      ejections: 0,
    });
    assert.ok(latencyMs >= 0 && forMs >= 0 && weightNow < 0.2);
  });

  it("a person may ask where a request would go, by what it carries", async () => {
    const servers = [await raw(answers), await raw(answers), await raw(answers)];
    const { service, log } = serviceOf({ balance: { hash: { header: "x-room" } } });
    assert.equal(service.preview(), null);
    for (const [i, { port }] of servers.entries()) {
      service.add({ id: `i${i}`, host: "127.0.0.1", port });
      await log.state(`i${i}`, "up");
    }
    const rooms = Array.from({ length: 50 }, (_, i) => asker(["x-room", `room ${i}`]));
    for (const room of rooms.slice(0, 5)) {
      const sent = new Sent(service, false, room);
      assert.equal(sent.connection!.instance.id, service.preview(room));
      await sent.over;
    }
    assert.equal(new Set(rooms.map((room) => service.preview(room))).size, 3);
  });

  it("a breaker that is open refuses at once, and lets trials through after its time", async () => {
    const clock = new SocketClock();
    let works = false;
    const server = await raw((socket) => (works ? socket.write(ok) : socket.destroy()));
    const { service } = await withInstance(server, {
      clock,
      health: { everyMs: 1e9 },
      eject: { failures: 0 },
      breaker: { requestsMin: 5, trialsMax: 1 },
    });
    for (let i = 0; i < 5; i++) assert.equal(await new Sent(service).over, "broken");
    assert.equal(await new Sent(service).over, "open");
    assert.equal(service.status().breaker, "open");
    const { breakerOpenings, breakerRefusals } = service.counters();
    assert.deepEqual([breakerOpenings, breakerRefusals], [1, 1]);
    works = true;
    clock.advance(5000);
    assert.equal(service.status().breaker, "half-open");
    assert.equal(await new Sent(service).over, "end");
    assert.equal(service.status().breaker, "closed");
  });
});
