import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { OperatorError } from "@tideway/base";
import { FakeClock } from "@tideway/base/testing";
import { Census } from "../listener/index.ts";
import { connected, hear, until } from "../tunnel/testing.ts";
import { createTcpListener, TcpEnd } from "./index.ts";
import { deafServer, echo, serviceOf, TcpServer, tcpRig, tells } from "./rig.testing.ts";

describe("a TCP service", () => {
  it("passes bytes both ways and tells of it once the connection has ended", async () => {
    const server = await TcpServer.open(echo);
    const { connect, listener, log, records } = await tcpRig([server]);
    const client = await connect();
    const heard = hear(client);
    client.write("one ");
    await until(() => heard.text === "one ");
    client.end("two");
    await heard.closed;
    await until(() => records.length === 1);
    assert.deepEqual([heard.text, heard.ended], ["one two", true]);
    const { durationMs, connectMs, port, ...record } = records[0]!;
    assert.deepEqual(record, {
      service: "db",
      instance: "i0",
      address: "127.0.0.1",
      via: "",
      bytesIn: 7,
      bytesOut: 7,
      tries: 1,
      end: TcpEnd.clean,
      fault: "",
    });
    assert.ok(durationMs >= 0 && connectMs >= 0 && port > 0);
    assert.deepEqual(listener.counters, {
      connections: 0,
      accepted: 1,
      refused: 0,
      malformed: 0,
      unserved: 0,
      connectFailures: 0,
      idled: 0,
      bytesFromClients: 7,
      bytesFromUpstreams: 7,
    });
    assert.ok(
      !log.lines.some(({ message }) => message.startsWith("connection")),
      "who asked for records is told there",
    );
  });

  it("a server that answers only after the client's FIN gets it, and its answer arrives", async () => {
    const server = await TcpServer.open((socket) => {
      let bytes = 0;
      socket.on("data", (chunk) => {
        bytes += chunk.length;
      });
      socket.on("end", () => socket.end(`${bytes} bytes`));
    });
    const { connect } = await tcpRig([server]);
    const client = await connect();
    const heard = hear(client);
    client.end(Buffer.alloc(300_000));
    await heard.closed;
    assert.deepEqual([heard.text, heard.ended, heard.error], ["300000 bytes", true, ""]);
  });

  it("a server that is done first still gets what the client sends after it", async () => {
    const server = await TcpServer.open((socket) => socket.end("enough"));
    const { connect, records } = await tcpRig([server]);
    const accepted = server.next();
    const client = await connect();
    client.resume();
    const atServer = hear(await accepted);
    await once(client, "end");
    client.write("but ");
    client.end("I go on");
    await atServer.closed;
    assert.deepEqual([atServer.text, atServer.ended], ["but I go on", true]);
    await until(() => records.length === 1);
    assert.equal(records[0]!.end, TcpEnd.clean);
  });

  it("an instance that breaks off in the middle of its answer: the client gets what came, then a reset", async () => {
    const server = await TcpServer.open((socket) => socket.write("half an ans"));
    const { connect, records } = await tcpRig([server]);
    const client = await connect();
    const heard = hear(client);
    await until(() => heard.text !== "");
    server.sockets[0]!.resetAndDestroy();
    await heard.closed;
    assert.deepEqual([heard.text, heard.ended, heard.error], ["half an ans", false, "ECONNRESET"]);
    await until(() => records.length === 1);
    assert.equal(records[0]!.end, TcpEnd.upstreamBroke);
  });

  it("an instance that is killed with bytes unread: the same", async () => {
    const { port, kill } = await deafServer();
    const { connect, listener } = await tcpRig([{ port }]);
    const client = await connect();
    const heard = hear(client);
    client.write("a question that nobody reads");
    await until(() => heard.text !== "" && listener.counters.bytesFromClients > 0);
    await kill();
    await heard.closed;
    assert.deepEqual([heard.text, heard.ended, heard.error], ["half an ans", false, "ECONNRESET"]);
  });

  it("a client that breaks off is a reset for the instance", async () => {
    const server = await TcpServer.open();
    const { connect, records } = await tcpRig([server]);
    const accepted = server.next();
    const client = await connect();
    const atServer = hear(await accepted);
    client.write("half a ques");
    await until(() => atServer.text !== "");
    client.resetAndDestroy();
    await atServer.closed;
    assert.deepEqual([atServer.text, atServer.ended, atServer.error], ["half a ques", false, "ECONNRESET"]);
    await until(() => records.length === 1);
    assert.equal(records[0]!.end, TcpEnd.clientBroke);
  });

  it("what a client that does not read leaves in between is bounded; then it gets all of it", async () => {
    const bytes = 64 * 1024 * 1024;
    const server = await TcpServer.open((socket) => socket.end(Buffer.alloc(bytes)));
    const { connect, listener, records } = await tcpRig([server]);
    const client = await connect();
    await until(() => listener.counters.bytesFromUpstreams > 0);
    // Until nothing moves any more: the system's buffers are full, and so are ours.
    for (let before = -1, turns = 0; turns < 200; turns++) {
      const now = listener.counters.bytesFromUpstreams;
      if (now !== before) turns = 0;
      before = now;
      await new Promise(setImmediate);
    }
    assert.ok(listener.counters.bytesFromUpstreams < bytes / 2, `${listener.counters.bytesFromUpstreams}`);
    const heard = hear(client, false);
    await once(client, "end");
    assert.equal(heard.bytes, bytes);
    client.end();
    await until(() => records.length === 1);
    assert.equal(records[0]!.end, TcpEnd.clean);
  });

  it("a hundred clients at once get each their own bytes", async () => {
    const server = await TcpServer.open(echo);
    const { connect, listener } = await tcpRig([server, server, server]);
    const echoes = Array.from({ length: 100 }, async (_, i) => {
      const client = await connect();
      const heard = hear(client);
      const text = `client ${i} `.repeat(1_000);
      client.end(text);
      await heard.closed;
      assert.equal(heard.text, text);
    });
    await Promise.all(echoes);
    await until(() => listener.counters.connections === 0);
  });
});

describe("a TCP service's bounds", () => {
  it("one connection more than there may be is reset, until one has ended", async () => {
    const server = await TcpServer.open(echo);
    const { attempt, connect, listener, log } = await tcpRig([server], { limits: { connectionsMax: 2 } });
    const [first] = [await connect(), await connect()];
    await until(() => listener.counters.accepted === 2);
    const third = attempt();
    await third.closed;
    assert.deepEqual([third.ended, third.error], [false, "ECONNRESET"]);
    assert.equal(listener.counters.refused, 1);
    assert.ok(log.lines.some(({ message }) => message === "connection turned away"));
    first.end();
    await until(() => listener.counters.connections === 1);
    const fourth = await connect();
    const heard = hear(fourth);
    fourth.end("room again");
    await heard.closed;
    assert.equal(heard.text, "room again");
  });

  it("the same for one address, which does not take the others' room", async () => {
    const server = await TcpServer.open(echo);
    const { attempt, connect, listener, port } = await tcpRig([server], {
      host: "127.0.0.1",
      limits: { connectionsPerAddressMax: 1 },
    });
    const first = await connect();
    await until(() => server.sockets.length === 1);
    const second = attempt();
    await second.closed;
    assert.equal(second.error, "ECONNRESET");
    const other = await connected(port, "127.0.0.1", "127.0.0.2");
    const heard = hear(other);
    other.end("me too");
    await heard.closed;
    assert.equal(heard.text, "me too");
    first.destroy();
    await until(() => listener.counters.connections === 0);
    const again = await connect();
    again.end("x");
    await hear(again).closed;
    assert.equal(listener.counters.refused, 1);
  });

  it("are those of a census, where listeners share one: it is asked for room, and told of every end", async () => {
    const server = await TcpServer.open(echo);
    const census = new Census({ connectionsMax: 2, connectionsPerAddressMax: 1 });
    const one = await tcpRig([server], { census });
    const other = await tcpRig([server], { census });
    const clients = [await one.connect(), await other.connect()];
    await until(() => census.total === 2);
    await other.attempt().closed;
    assert.deepEqual([one.listener.counters.refused, other.listener.counters.refused], [0, 1]);
    for (const client of clients) client.end();
    await until(() => census.total === 0 && census.addresses === 0);
  });

  it("a silent connection is reset when there is a limit of silence", async () => {
    const clock = new FakeClock();
    const server = await TcpServer.open(echo);
    const { connect, listener, records } = await tcpRig([server], { clock, limits: { idleMs: 60_000 } });
    const client = await connect();
    const heard = hear(client);
    client.write("x");
    await until(() => heard.text === "x");
    clock.advance(60_000);
    assert.ok(!client.destroyed);
    clock.advance(30_000);
    await heard.closed;
    assert.equal(heard.error, "ECONNRESET");
    await until(() => records.length === 1);
    assert.deepEqual([records[0]!.end, listener.counters.idled], [TcpEnd.idle, 1]);
  });

  it("a port that is taken is an operator's error with the way out of who configured it", async () => {
    const { port, service, log } = await tcpRig([]);
    const second = createTcpListener({
      host: "127.0.0.1",
      port,
      service,
      clock: new FakeClock(),
      logger: log,
      hint: "change listen[1].port",
    });
    await assert.rejects(second.listen(), (error: unknown) => {
      assert.ok(error instanceof OperatorError);
      assert.equal(error.code, "START_PORT_IN_USE");
      assert.equal(error.details.hint, "change listen[1].port");
      return true;
    });
  });
});

describe("a change and the end of a TCP service", () => {
  it("new settings hold for new connections; open ones stay with what they have", async () => {
    const [a, b] = await Promise.all([TcpServer.open(echo), TcpServer.open(tells("b"))]);
    const { connect, listener, log } = await tcpRig([a]);
    const old = await connect();
    const heard = hear(old);
    old.write("x");
    await until(() => heard.text === "x");
    listener.configure({ service: await serviceOf(log, [{ id: "new", port: b.port }]) });
    const fresh = hear(await connect());
    await until(() => fresh.text === "b");
    old.end("y");
    await heard.closed;
    assert.deepEqual([heard.text, heard.error], ["xy", ""]);
  });

  it("a limit of silence that comes later holds for open connections, too", async () => {
    const clock = new FakeClock();
    const server = await TcpServer.open(echo);
    const { connect, listener, service } = await tcpRig([server], { clock });
    const heard = hear(await connect());
    await until(() => server.sockets.length === 1 && listener.counters.connections === 1);
    await until(() => clock.pendingCount === 0);
    listener.configure({ service, limits: { idleMs: 1_000 } });
    clock.advance(1_250);
    await heard.closed;
    assert.equal(heard.error, "ECONNRESET");
  });

  it("close: nothing new, what is open may end by itself, and the rest is reset at the deadline", async () => {
    const clock = new FakeClock();
    const server = await TcpServer.open(echo);
    const { connect, listener, port, records } = await tcpRig([server], { clock });
    const [ends, stays] = [await connect(), await connect()];
    const heard = [hear(ends), hear(stays)];
    ends.write("1");
    stays.write("2");
    await until(() => heard.every(({ text }) => text !== ""));
    const closed = listener.close({ graceMs: 5_000 });
    await assert.rejects(connected(port), { code: "ECONNREFUSED" });
    ends.end("more");
    await heard[0]!.closed;
    assert.equal(heard[0]!.text, "1more");
    clock.advance(4_999);
    assert.ok(!stays.destroyed);
    clock.advance(1);
    await closed;
    await heard[1]!.closed;
    assert.deepEqual([heard[1]!.ended, heard[1]!.error], [false, "ECONNRESET"]);
    assert.deepEqual(
      records.map(({ end }) => end),
      [TcpEnd.clean, TcpEnd.brokenOff],
    );
    assert.equal(clock.pendingCount, 0);
  });

  it("close without a connection is done at once, and leaves no timer", async () => {
    const clock = new FakeClock();
    const { listener } = await tcpRig([], { clock });
    await listener.close({ graceMs: 5_000 });
    assert.equal(clock.pendingCount, 0);
  });

  it("an access log that throws ends nothing", async () => {
    const server = await TcpServer.open(echo);
    const { connect, log } = await tcpRig([server], {
      onRecord: () => {
        throw new Error("disk full");
      },
    });
    const client = await connect();
    client.end("x");
    await hear(client).closed;
    await log.seen(({ message }) => message === "the access log failed");
  });
});
