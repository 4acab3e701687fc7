/** The stock clients against our transports, over real sockets: by polling alone, by WebSocket alone, with the upgrade. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import {
  encodeArguments,
  encodeConnect,
  encodeEvent,
  PacketAssembly,
  PacketType,
  parseArguments,
} from "@tideway/wire/socketio";
import { Socket as EngineClient } from "engine.io-client";
import { io } from "socket.io-client";
import { echoing, type HubFor, packet, startOurs } from "./servers.testing.ts";

const ways: [name: string, transports: ("polling" | "websocket")[]][] = [
  ["polling alone", ["polling"]],
  ["WebSocket alone", ["websocket"]],
  ["the upgrade", ["polling", "websocket"]],
];

/** Accepts every namespace and sends events back as they came: Socket.IO as far as the wire shows it. */
const echoingEvents: HubFor = (line) => {
  const assembly = new PacketAssembly();
  const take = (step: ReturnType<PacketAssembly["text"]>) => {
    if (!step.ok) return line.close("parse error");
    if (step.packet === null) return;
    const { type, namespace, id, json } = step.packet;
    if (type === PacketType.connect) return line.send(packet(encodeConnect(namespace, '{"sid":"s1"}')));
    const parsed = parseArguments(json, step.attachments);
    if (!parsed.ok) return line.close("parse error");
    const again = encodeArguments(parsed.args);
    line.send(packet(encodeEvent(namespace, id, again.json, again.attachments.length), again.attachments));
  };
  return {
    text: (data) => take(assembly.text(data)),
    binary: (data) => take(assembly.binary(data)),
    upgraded() {},
    closed() {},
  };
};

for (const [name, transports] of ways) {
  test(`engine.io-client by ${name}: 300 messages come back in order, over heartbeats`, async () => {
    const server = await startOurs(echoing);
    const client = new EngineClient(`ws://127.0.0.1:${server.port}`, { transports, path: "/engine.io" });
    const received: unknown[] = [];
    const whole = new Promise<void>((done) => {
      client.on("message", (data) => {
        received.push(data);
        if (received.length === 302) done();
      });
    });
    const upgraded = transports.length === 2 ? once(client as never, "upgrade") : null;
    await once(client as never, "open");
    for (let i = 0; i < 100; i++) client.send(`a${i}`);
    await upgraded;
    for (let i = 0; i < 100; i++) client.send(`b${i}€`);
    // The server's ping comes after 300 ms, and the client must survive two of them.
    await once(client as never, "ping");
    client.send(Buffer.of(1, 2, 3));
    await once(client as never, "ping");
    for (let i = 0; i < 100; i++) client.send(`c${i}`);
    await whole;
    const texts = [...Array(100).keys()].map((i) => `a${i}`).concat([...Array(100).keys()].map((i) => `b${i}€`));
    assert.deepEqual(received.slice(0, 200), texts);
    assert.equal(received[200], "binary");
    assert.deepEqual(Buffer.from(received[201] as Uint8Array), Buffer.of(1, 2, 3));
    assert.deepEqual(
      received.slice(202),
      [...Array(100).keys()].map((i) => `c${i}`),
    );
    assert.equal(client.transport.name, transports.at(-1));
    const closed = once(client as never, "close");
    client.close();
    await closed;
    await server.close();
  });

  test(`socket.io-client by ${name}: connects, and events with binary come back whole`, async () => {
    const server = await startOurs(echoingEvents);
    const client = io(`http://127.0.0.1:${server.port}/admin`, { transports, path: "/engine.io", reconnection: false });
    await once(client as never, "connect");
    assert.equal(client.id, "s1");
    const answers: unknown[][] = [];
    const whole = new Promise<void>((done) => {
      client.on("echo", (...args: unknown[]) => {
        answers.push(args);
        if (answers.length === 50) done();
      });
    });
    for (let i = 0; i < 50; i++) client.emit("echo", i, { deep: [Buffer.of(i), "ä"] }, new Uint8Array([i, i]).buffer);
    await whole;
    answers.forEach(([number, value, buffer], i) => {
      assert.equal(number, i);
      assert.deepEqual(value, { deep: [Buffer.of(i), "ä"] });
      assert.deepEqual(Buffer.from(buffer as Uint8Array), Buffer.of(i, i));
    });
    client.disconnect();
    await server.close();
  });
}

test("the stock client notices at once when the server closes the line, and reconnects", async () => {
  const lines: Parameters<HubFor>[0][] = [];
  const server = await startOurs((line) => {
    lines.push(line);
    return echoingEvents(line);
  });
  for (const [, transports] of ways) {
    const client = io(`http://127.0.0.1:${server.port}`, {
      transports,
      path: "/engine.io",
      reconnectionDelay: 1,
      forceNew: true,
    });
    await once(client as never, "connect");
    const lost = once(client as never, "disconnect");
    lines.at(-1)!.close("forced server close");
    assert.equal((await lost)[0], "transport close");
    await once(client as never, "connect");
    client.disconnect();
  }
  await server.close();
});
