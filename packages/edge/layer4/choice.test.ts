/** Which instance a connection is given to, and what becomes of it when that one drains, goes down or never accepts. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import { FakeClock } from "@tideway/base/testing";
import { hear, until } from "../tunnel/testing.ts";
import { WatchedLog } from "../upstream/testing.ts";
import { TcpEnd } from "./index.ts";
import { echo, poolOf, stuckServer, TcpServer, tcpRig, tells } from "./rig.testing.ts";

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
    const { connect, pool } = await tcpRig(await three(), {}, { balance: "least-busy" });
    assert.deepEqual(await count(connect, 9), { a: 3, b: 3, c: 3 });
    assert.deepEqual(
      pool.status().map(({ active }) => active),
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
    const counts = await count(connect, 6);
    assert.deepEqual(Object.values(counts).sort(), [0, 0, 6]);
  });

  it("an instance that takes no connection: another one is tried before the client's first byte is read", async () => {
    const [a, gone] = [await TcpServer.open(echo), await TcpServer.open()];
    const ports = [{ port: gone.port }, { port: a.port }];
    await gone.close();
    const { connect, listener, pool, records } = await tcpRig(ports);
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
    assert.equal(pool.status()[0]!.state, "down");
    assert.deepEqual(
      pool.status().map(({ active }) => active),
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
    const pool = await poolOf(log, []);
    const { attempt, records } = await tcpRig([], { pool });
    const tried = attempt();
    await tried.closed;
    assert.deepEqual([tried.ended, tried.error], [false, "ECONNRESET"]);
    assert.equal(records[0]!.end, TcpEnd.noInstance);
    // With the probe that a TCP service has unless told otherwise.
    const probed = await poolOf(log, [], { probe: undefined! });
    const second = await tcpRig([], { pool: probed });
    probed.add({ id: "late", host: "127.0.0.1", port });
    await TcpServer.open(echo, port);
    await log.state("late", "up");
    const client = await second.connect();
    const heard = hear(client);
    client.end("at last");
    await heard.closed;
    assert.equal(heard.text, "at last");
  });

  it("what is under way at an instance that goes down stays there", async () => {
    const [a, b] = await Promise.all([TcpServer.open(echo), TcpServer.open(tells("b"))]);
    const { connect, pool } = await tcpRig([a, b]);
    const client = await connect();
    const heard = hear(client);
    client.write("x");
    await until(() => heard.text === "x");
    const member = pool.members[0]!;
    for (let i = 0; i < 2; i++) member.failed("as if it were gone");
    assert.equal(pool.status()[0]!.state, "down");
    client.end("y");
    await heard.closed;
    assert.deepEqual([heard.text, heard.error], ["xy", ""]);
  });

  it("an instance that drains keeps what it has and gets nothing new; at the deadline the rest is reset", async () => {
    const [a, b] = await Promise.all([TcpServer.open(tells("a")), TcpServer.open(tells("b"))]);
    const { connect, pool } = await tcpRig([a, b]);
    const kept = [hear(await connect()), hear(await connect())];
    await until(() => kept.every(({ text }) => text !== ""));
    const atA = kept.find(({ text }) => text === "a")!;
    let drained = false;
    pool.drain("i0", () => {
      drained = true;
    });
    assert.deepEqual(await count(connect, 3), { a: 0, b: 3, c: 0 });
    assert.ok(!drained && !atA.ended && atA.error === "");
    pool.members[0]!.destroy();
    await atA.closed;
    assert.deepEqual([atA.ended, atA.error], [false, "ECONNRESET"]);
    await until(() => drained);
  });
});
