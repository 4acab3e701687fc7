/** Which instance a connection is given to, and what becomes of it when that one drains, goes down or never accepts. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import { FakeClock } from "@tideway/base/testing";
import { systemClock } from "@tideway/edge/clock";
import { hear, until } from "../tunnel/testing.ts";
import { WatchedLog } from "../upstream/testing.ts";
import { TcpEnd } from "./index.ts";
import { echo, serviceOf, stuckServer, TcpServer, tcpRig, tells } from "./rig.testing.ts";

describe("the choice of an instance", () => {
  /** Opens connections one by one, keeps them, and counts who answered. */
  async function count(connect: () => Promise<Socket>, times: number): Promise<Record<string, number>> {
    const counts: Record<string, number> = { a: 0, b: 0, c: 0 };
    for (let i = 0; i < times; i++) {
      const heard = hear(await connect());
      await until(() => heard.text !== "");
      counts[heard.text]!++;
    }
    return counts;
  }

  const three = () => Promise.all(["a", "b", "c"].map((name) => TcpServer.open(tells(name))));

  it("spreads over three instances", async () => {
    const { connect, service } = await tcpRig(await three(), {}, { balance: "least-busy" });
    assert.deepEqual(await count(connect, 9), { a: 3, b: 3, c: 3 });
    assert.deepEqual(
      service.status().instances.map(({ active }) => active),
      [3, 3, 3],
    );
  });

  it("goes by weights", async () => {
    const [a, b, c] = await three();
    const addresses = [{ port: a!.port, weight: 3 }, { port: b!.port, weight: 2 }, { port: c!.port }];
    const { connect } = await tcpRig(addresses, {}, { balance: "weighted" });
    assert.deepEqual(await count(connect, 12), { a: 6, b: 4, c: 2 });
  });

  it("is by the client's address where the policy is hash: the same client, the same instance", async () => {
    const { connect } = await tcpRig(await three(), {}, { balance: "hash" });
    const names = new Set<string>();
    for (let i = 0; i < 6; i++) {
      const client = await connect();
      const heard = hear(client);
      await until(() => heard.text !== "");
      names.add(heard.text);
      client.resetAndDestroy();
    }
    assert.equal(names.size, 1);
  });

  it("an instance that takes no connection: another one is tried before the client's first byte is read", async () => {
    const [a, gone] = [await TcpServer.open(echo), await TcpServer.open()];
    const ports = [{ port: gone.port }, { port: a.port }];
    await gone.close();
    const { connect, listener, service, records } = await tcpRig(ports);
    for (let i = 0; i < 4; i++) {
      const client = await connect();
      const heard = hear(client);
      client.end("hello");
      await heard.closed;
      assert.equal(heard.text, "hello");
    }
    await until(() => records.length === 4);
    assert.deepEqual(new Set(records.map(({ instance }) => instance)), new Set(["i1"]));
    assert.ok(records.some(({ tries }) => tries === 2));
    // Two failures in a row, and it is asked no more.
    assert.equal(listener.counters.connectFailures, 2);
    assert.equal(service.status().instances[0]!.state, "down");
    assert.deepEqual(
      service.status().instances.map(({ active }) => active),
      [0, 0],
    );
  });

  it("an instance that does not accept in time is passed over", async () => {
    const clock = new FakeClock();
    const stuck = await stuckServer();
    const server = await TcpServer.open(echo);
    const { connect, records } = await tcpRig([{ port: stuck }, server], { clock });
    const client = await connect();
    const heard = hear(client);
    client.end("hello");
    await until(() => clock.pendingCount > 0);
    clock.advance(2_999);
    assert.equal(server.sockets.length, 0);
    clock.advance(1);
    await heard.closed;
    assert.equal(heard.text, "hello");
    await until(() => records.length === 1);
    assert.deepEqual([records[0]!.instance, records[0]!.tries], ["i1", 2]);
    assert.equal(clock.pendingCount, 0);
  });

  it("when none takes a connection, the client gets a reset", async () => {
    const servers = await Promise.all([TcpServer.open(), TcpServer.open(), TcpServer.open(), TcpServer.open()]);
    const ports = servers.map(({ port }) => ({ port }));
    for (const server of servers) await server.close();
    const { attempt, listener, records, log } = await tcpRig(ports);
    const heard = attempt();
    await heard.closed;
    assert.deepEqual([heard.ended, heard.error], [false, "ECONNRESET"]);
    assert.deepEqual([records[0]!.end, records[0]!.tries, records[0]!.instance], [TcpEnd.unreachable, 3, ""]);
    assert.equal(listener.counters.unserved, 1);
    assert.ok(log.lines.some(({ level, message }) => level === "warn" && message === "connection ended: unreachable"));
  });

  it("a service that is down at the start resets its clients, and serves them once it is up", async () => {
    const gone = await TcpServer.open();
    const { port } = gone;
    await gone.close();
    const log = new WatchedLog();
    // With the probe that a TCP service has unless told otherwise.
    const service = await serviceOf(log, [], {
      clock: systemClock,
      healthPort: undefined!,
      upstreams: [{ host: "127.0.0.1", port }],
    });
    const { attempt, connect, records, listener } = await tcpRig([], { service });
    const tried = attempt();
    await tried.closed;
    assert.deepEqual([tried.ended, tried.error], [false, "ECONNRESET"]);
    assert.deepEqual([records[0]!.end, listener.counters.unserved], [TcpEnd.noInstance, 1]);
    await TcpServer.open(echo, port);
    await log.state(`127.0.0.1:${port}`, "up");
    const client = await connect();
    const heard = hear(client);
    client.end("at last");
    await heard.closed;
    assert.equal(heard.text, "at last");
  });

  it("what is under way at an instance that goes down stays there, and the next client goes elsewhere", async () => {
    const [a, b] = await Promise.all([TcpServer.open(echo), TcpServer.open(tells("b"))]);
    const clock = new FakeClock();
    const pulse = await TcpServer.open();
    const { connect, service, log } = await tcpRig([a, b], {}, { clock, healthPort: pulse.port });
    const client = await connect();
    const heard = hear(client);
    client.write("x");
    await until(() => heard.text === "x");
    await pulse.close();
    while (service.status().instances[0]!.state === "up") {
      clock.advance(3_000);
      await new Promise(setImmediate);
    }
    await log.state("i0", "down");
    client.end("y");
    await heard.closed;
    assert.deepEqual([heard.text, heard.error], ["xy", ""]);
  });

  it("an instance that drains keeps what it has and gets nothing new", async () => {
    const [a, b] = await Promise.all([TcpServer.open(tells("a")), TcpServer.open(tells("b"))]);
    const clock = new FakeClock();
    const { connect, service } = await tcpRig([a, b], {}, { clock });
    const clients = [await connect(), await connect()];
    const kept = clients.map((client) => hear(client));
    await until(() => kept.every(({ text }) => text !== ""));
    const at = kept.findIndex(({ text }) => text === "a");
    let drained = false;
    service.drain("i0", () => {
      drained = true;
    });
    assert.deepEqual(await count(connect, 3), { a: 0, b: 3, c: 0 });
    clock.advance(120_000);
    assert.deepEqual([drained, kept[at]!.ended, kept[at]!.error], [false, false, ""]);
    clients[at]!.destroy();
    for (const socket of a.sockets) socket.end();
    await until(() => drained);
  });

  it("at the deadline of the drain what is left is reset, of a removed instance as well", async () => {
    const servers = await Promise.all([TcpServer.open(tells("a")), TcpServer.open(tells("b"))]);
    const clock = new FakeClock();
    const { connect, service } = await tcpRig(servers, {}, { clock, drainMs: 30_000 });
    const heard = [hear(await connect()), hear(await connect())];
    await until(() => heard.every(({ text }) => text !== ""));
    let drained = false;
    service.drain("i0", () => {
      drained = true;
    });
    service.remove("i1");
    clock.advance(29_999);
    assert.deepEqual([drained, ...heard.map(({ error }) => error)], [false, "", ""]);
    clock.advance(1);
    for (const each of heard) {
      await each.closed;
      assert.deepEqual([each.ended, each.error], [false, "ECONNRESET"]);
    }
    await until(() => drained);
    assert.equal(clock.pendingCount, 0);
  });

  it("an instance that is used again after all keeps what it has", async () => {
    const server = await TcpServer.open(tells("a"));
    const clock = new FakeClock();
    const { connect, service } = await tcpRig([server], {}, { clock, drainMs: 30_000 });
    const heard = hear(await connect());
    await until(() => heard.text !== "");
    service.drain("i0");
    clock.advance(20_000);
    assert.ok(service.undrain("i0"));
    clock.advance(20_000);
    assert.deepEqual([heard.ended, heard.error], [false, ""]);
  });

  it("other upstreams: those that stay keep their connections, and so do those that are gone", async () => {
    const [a, b, c] = await three();
    const upstream = ({ port }: TcpServer) => ({ host: "127.0.0.1", port });
    const log = new WatchedLog();
    const clock = new FakeClock();
    const service = await serviceOf(log, [], {
      clock,
      healthPort: undefined!,
      upstreams: [upstream(a!), upstream(b!)],
    });
    await log.state(`127.0.0.1:${a!.port}`, "up");
    await log.state(`127.0.0.1:${b!.port}`, "up");
    const { connect } = await tcpRig([], { service });
    const heard = [hear(await connect()), hear(await connect())];
    await until(() => heard.every(({ text }) => text !== ""));
    service.configure({ balance: "round-robin", upstreams: [upstream(b!), upstream(c!)] });
    await log.state(`127.0.0.1:${c!.port}`, "up");
    assert.deepEqual(await count(connect, 4), { a: 0, b: 2, c: 2 });
    assert.deepEqual(
      heard.map(({ ended, error }) => [ended, error]),
      [
        [false, ""],
        [false, ""],
      ],
    );
    assert.deepEqual(
      service.counters().instances.map(({ requests }) => requests),
      [3, 2],
    );
  });

  it("while too many fail, the breaker of the service refuses at once", async () => {
    const gone = await TcpServer.open();
    const { port } = gone;
    const { attempt, records, service } = await tcpRig([{ port }], {}, { breaker: { requestsMin: 1 } });
    await gone.close();
    for (let i = 0; i < 2; i++) await attempt().closed;
    assert.deepEqual(
      records.map(({ end }) => end),
      [TcpEnd.unreachable, TcpEnd.noInstance],
    );
    assert.deepEqual([service.status().breaker, service.counters().breakerRefusals], ["open", 1]);
  });
});
