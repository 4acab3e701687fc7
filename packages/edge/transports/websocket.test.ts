import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeFrame, encodeMaskedFrame, Opcode } from "@tideway/wire/websocket";
import { FakeExchange, outgoing, Stage } from "./testing.ts";

test("a WebSocket handshake answers 101 and the opening packet in one write, with no upgrades to offer", () => {
  const stage = new Stage({ generateId: () => "abc" });
  const { stream } = stage.webSocket(null, ["sec-websocket-extensions", "permessage-deflate"]);
  const head =
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" +
    "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nx-request-id: req-1\r\n\r\n";
  const open = '0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}';
  assert.deepEqual(stream.received, [head, open]);
  assert.equal(stream.writes, 1);
  assert.equal(stage.connections[0]!.line.transport, "websocket");
});

test("what is sent in one tick leaves in one write, in order, binary raw", () => {
  const stage = new Stage();
  const { stream, connection } = stage.openWebSocket();
  stream.writes = 0;
  connection.line.send(outgoing("one"));
  connection.line.send(outgoing("two", [Buffer.of(1, 2), Buffer.of(3)]));
  connection.line.send(outgoing("three"));
  assert.equal(stream.writes, 0);
  stage.clock.settle();
  assert.equal(stream.writes, 1);
  assert.deepEqual(stream.received, ["4one", "4two", "hex:0102", "hex:03", "4three"]);
});

test("a broadcast is encoded and joined once for all that have the same queue", () => {
  const stage = new Stage();
  const clients = [1, 2, 3].map(() => stage.openWebSocket());
  const writes: (Uint8Array | string)[] = [];
  for (const { stream } of clients) {
    stream.write = (bytes) => {
      writes.push(bytes);
      return true;
    };
  }
  const [a, b, own] = [outgoing("a"), outgoing("b"), outgoing("own")];
  for (const { connection } of clients) {
    connection.line.send(a);
    connection.line.send(b);
  }
  stage.clock.settle();
  assert.equal(new Set(writes).size, 1);
  for (const { connection } of clients) connection.line.send(a);
  stage.clock.settle();
  assert.equal(new Set(writes.slice(3)).size, 1);
  // One that has a packet of its own gets its own buffer, and the others still theirs.
  for (const { connection } of clients) connection.line.send(b);
  clients[1]!.connection.line.send(own);
  stage.clock.settle();
  assert.deepEqual(
    writes.slice(6).map((bytes) =>
      Buffer.from(bytes as Uint8Array)
        .toString("latin1")
        .replace(/\W/g, "."),
    ),
    ["..4b", "..4b..4own", "..4b"],
  );
});

test("messages reach the hub in order, text and binary", () => {
  const stage = new Stage();
  const { stream, connection } = stage.openWebSocket();
  stream.send("4hello", Buffer.of(1, 2, 3), "4€", "4");
  assert.deepEqual(connection.heard, ["hello", "hex:010203", "€", ""]);
});

test("bytes that came behind the request are read, after the hub knows the line", () => {
  const stage = new Stage();
  const exchange = new FakeExchange({
    query: "?EIO=4&transport=websocket",
    upgrade: "websocket",
    fields: ["sec-websocket-version", "13", "sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="],
  });
  exchange.upgrade = () => ({
    stream: exchange.stream,
    head: encodeMaskedFrame(Opcode.text, Buffer.from("4early"), 7),
  });
  stage.transports.handle(exchange);
  assert.deepEqual(stage.connections[0]!.heard, ["early"]);
});

test("a stream that is full is left alone until it drains, then gets all that waited in one write", () => {
  const stage = new Stage();
  const { stream, connection } = stage.openWebSocket();
  stream.stuck = true;
  connection.line.send(outgoing("one"));
  stage.clock.settle();
  stream.writes = 0;
  connection.line.send(outgoing("two"));
  connection.line.send(outgoing("three"));
  stage.clock.settle();
  assert.equal(stream.writes, 0);
  stream.drain();
  stage.clock.settle();
  assert.deepEqual(stream.received, ["4two", "4three"]);
  assert.equal(stream.writes, 1);
});

test("what the kernel has not taken counts: volatile packets go first, then the client is cut off as slow", () => {
  const stage = new Stage({ outQueueBytesMax: 1000 });
  const { stream, connection } = stage.openWebSocket();
  const { line } = connection;
  stream.stuck = true;
  line.send(outgoing("a".repeat(600)));
  stage.clock.settle();
  line.send(outgoing("v".repeat(300), [], true));
  line.send(outgoing("b".repeat(300)));
  assert.equal(stage.transports.counters.volatileDropped, 1);
  assert.equal(stream.destroyed, false);
  line.send(outgoing("c".repeat(300)));
  assert.equal(stream.destroyed, true);
  assert.deepEqual(connection.heard, [], "the hub is not called back from within its own call");
  stage.clock.settle();
  assert.deepEqual(connection.heard, ["closed: slow consumer"]);
  assert.equal(stage.clock.pendingCount, 0);
});

test("a burst within one tick is no sign of a slow client", () => {
  const stage = new Stage({ outQueueBytesMax: 1000 });
  const { stream, connection } = stage.openWebSocket();
  const texts = Array.from({ length: 50 }, (_, i) => `${i}`.padStart(100));
  for (const text of texts) connection.line.send(outgoing(text));
  stage.clock.settle();
  assert.deepEqual(
    stream.received,
    texts.map((text) => `4${text}`),
  );
  assert.equal(stage.transports.counters.slowConsumers, 0);
});

test("closing lets the queue out and says close; the stream is broken when the peer does not answer", () => {
  const stage = new Stage();
  const { stream, connection } = stage.openWebSocket();
  connection.line.send(outgoing("bye"));
  connection.line.close("forced server close");
  stage.clock.settle();
  assert.deepEqual(stream.received, ["4bye", "close 1005"]);
  assert.equal(stream.ended, true);
  assert.deepEqual(connection.heard, ["closed: forced server close"]);
  stream.send("4late");
  assert.equal(stream.destroyed, false);
  stage.clock.advance(10_000);
  assert.equal(stream.destroyed, true);
  assert.deepEqual(connection.heard, ["closed: forced server close"]);
  assert.equal(stage.clock.pendingCount, 0);
});

test("closing a client that does not read gives up after ten seconds", () => {
  const stage = new Stage();
  const { stream, connection } = stage.openWebSocket();
  stream.stuck = true;
  connection.line.send(outgoing("a"));
  stage.clock.settle();
  connection.line.send(outgoing("b"));
  connection.line.close("forced server close");
  stage.clock.advance(10_000);
  assert.equal(stream.destroyed, true);
  assert.equal(stage.clock.pendingCount, 0);
});

test("a client's 1 closes at once", () => {
  const stage = new Stage();
  const { stream, connection } = stage.openWebSocket();
  stream.send("1", "4never");
  assert.deepEqual(stream.received, ["close 1005"]);
  stage.clock.settle();
  assert.deepEqual(connection.heard, ["closed: transport close"]);
});

test("a close frame is answered with its code", () => {
  const stage = new Stage();
  const { stream, connection } = stage.openWebSocket();
  stream.frame(Opcode.close, Buffer.of(0x03, 0xe9));
  assert.deepEqual(stream.received, ["close 1001"]);
  stage.clock.settle();
  assert.deepEqual(connection.heard, ["closed: transport close"]);
  stream.destroy();
  assert.equal(stage.clock.pendingCount, 0);
});

test("the line breaking, or ending without a close frame, ends the session", () => {
  const stage = new Stage();
  const ends: [string, string][] = [
    ["end", "transport close"],
    ["close", "transport close"],
    ["error", "transport error"],
  ];
  for (const [event, reason] of ends) {
    const { stream, connection } = stage.openWebSocket();
    stream.emit(event, new Error("ECONNRESET"));
    stream.emit("error", new Error("late"));
    stage.clock.settle();
    assert.deepEqual(connection.heard, [`closed: ${reason}`]);
  }
  assert.equal(stage.clock.pendingCount, 0);
});

const badInput: [what: string, frames: Buffer, closes: string, reason: string][] = [
  ["an unmasked frame", encodeFrame(Opcode.text, Buffer.from("4a")), "close 1002", "transport error"],
  ["text that is not UTF-8", encodeMaskedFrame(Opcode.text, Buffer.of(0x34, 0xff), 1), "close 1007", "transport error"],
  [
    "a message over the limit",
    encodeMaskedFrame(Opcode.text, Buffer.alloc(1001, 0x34), 1),
    "close 1009",
    "transport error",
  ],
  ["an unknown packet type", encodeMaskedFrame(Opcode.text, Buffer.from("9"), 1), "close 1002", "parse error"],
  ["an empty text", encodeMaskedFrame(Opcode.text, Buffer.alloc(0), 1), "close 1002", "parse error"],
  ["a ping from the client", encodeMaskedFrame(Opcode.text, Buffer.from("2"), 1), "close 1005", "transport error"],
];

for (const [what, frames, closes, reason] of badInput) {
  test(`${what} is answered with ${closes}`, () => {
    const stage = new Stage({ messageBytesMax: 1000 });
    const { stream, connection } = stage.openWebSocket();
    stream.emit("data", Buffer.concat([encodeMaskedFrame(Opcode.text, Buffer.from("4ok"), 1), frames]));
    stream.send("4after");
    assert.deepEqual(stream.received, [closes]);
    assert.equal(stream.ended, true);
    stage.clock.settle();
    assert.deepEqual(connection.heard, ["ok", `closed: ${reason}`]);
  });
}

test("frames' own pings are answered; of those to a full stream only the newest", () => {
  const stage = new Stage();
  const { stream, connection } = stage.openWebSocket();
  stream.frame(Opcode.ping, Buffer.from("a"));
  assert.deepEqual(stream.received, ["pong a"]);
  stream.stuck = true;
  connection.line.send(outgoing("x"));
  stage.clock.settle();
  const held = stream.writableLength;
  for (const letter of "bcdef") stream.frame(Opcode.ping, Buffer.from(letter));
  assert.equal(stream.writableLength, held);
  stream.drain();
  assert.deepEqual(stream.received, ["pong a", "pong f"]);
});

test("the heartbeat of a WebSocket: dead at exactly interval + timeout", () => {
  const stage = new Stage({ pingIntervalMs: 300, pingTimeoutMs: 200 });
  const { stream, connection } = stage.openWebSocket();
  stage.clock.advance(300);
  assert.deepEqual(stream.received, ["2"]);
  stream.send("3");
  stage.clock.advance(499);
  assert.deepEqual(connection.heard, []);
  stage.clock.advance(1);
  assert.deepEqual(connection.heard, ["closed: ping timeout"]);
  assert.deepEqual(stream.received, ["2", "2", "close 1005"]);
});

test("stopping closes WebSockets with going away", () => {
  const stage = new Stage();
  const { stream, connection } = stage.openWebSocket();
  stage.transports.close();
  assert.deepEqual(stream.received, ["close 1001"]);
  stage.clock.settle();
  assert.deepEqual(connection.heard, ["closed: server shutting down"]);
});
