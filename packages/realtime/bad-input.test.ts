/**
 * Bad input over real sockets, through the whole of a server: each ends its own session, with an answer where there is one
 * to give; the process lives, and a healthy client beside it does not notice.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { type Socket as Client, io as connectClient } from "socket.io-client";
import { WebSocket } from "ws";
import { Server, type Socket } from "./index.ts";

const http = createServer();
let io: Server;
let address: string;
let healthy: Client;

before(async () => {
  io = new Server(http, { perMessageDeflate: true, maxHttpBufferSize: 1_000_000 });
  io.on("connection", (socket) => {
    socket.onAny((_name: string, ...args: unknown[]) => {
      const answer = args.at(-1);
      if (typeof answer === "function") answer(...args.slice(0, -1));
    });
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  address = `127.0.0.1:${(http.address() as AddressInfo).port}`;
  healthy = connectClient(`http://${address}`, { transports: ["websocket"], reconnection: false });
  await once(healthy as never, "connect");
});

after(async () => {
  assert.ok(healthy.connected);
  healthy.disconnect();
  await io.close();
});

async function assertHealthy(): Promise<void> {
  assert.deepEqual(await healthy.emitWithAck("echo", { a: [1, "ü"] }), { a: [1, "ü"] });
}

/** A WebSocket that has joined the main namespace. */
async function joined(): Promise<WebSocket> {
  const socket = new WebSocket(`ws://${address}/socket.io/?EIO=4&transport=websocket`);
  socket.on("error", () => {});
  await once(socket, "message");
  socket.send("40");
  await once(socket, "message");
  return socket;
}

const nested = (depth: number, open = "[", close = "]") => open.repeat(depth) + close.repeat(depth);

/** Each ends the connection that sent it. */
const messages: [what: string, ...sent: (string | Buffer)[]][] = [
  ["JSON nested 10^5 deep in an event", `42["a",${nested(100_000)}]`],
  ["objects nested 10^5 deep in an event", `42["a",${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}]`],
  ["JSON that opens 10^5 times and never closes", `42["a",${"[".repeat(100_000)}`],
  ["thousands of attachments announced", '455000-["a"]'],
  ["eleven attachments", '4511-["a"]'],
  ["more attachments than can be counted", `45${"9".repeat(400)}-["a"]`],
  ["no attachments of a binary event", '450-["a"]'],
  ["no count of attachments", '45-["a"]'],
  ["a binary event without a dash", '451["a"]'],
  ["text before the attachments are whole", '452-["a",{"_placeholder":true,"num":0}]', '42["b"]'],
  ["an attachment of nothing", Buffer.of(1, 2, 3)],
  ["a placeholder of no attachment", '451-["a",{"_placeholder":true,"num":7}]', Buffer.of(1)],
  ["a placeholder __proto__", '451-["a",{"_placeholder":true,"num":"__proto__"}]', Buffer.of(1)],
  ["an attachment named twice", '451-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]', Buffer.of(1)],
  ["a reserved event", '42["connect"]'],
  ["a reserved event disconnecting", '42["disconnecting"]'],
  ["an event without a name", "42[]"],
  ["an event whose name is an object", "42[{}]"],
  ["an event that is no list", '42{"a":1}'],
  ["half an event", '42["a"'],
  ["an unknown type", "49"],
  ["a type __proto__", "4__proto__"],
  ["an acknowledgement without an id", "43[]"],
  ["an id beyond what can be counted", '4299999999999999999999["a"]'],
  ["a ping", "2"],
  ["an empty message", ""],
  ["a message over the limit", `42["a","${"x".repeat(1_000_001)}"]`],
  ["a bomb", `42["a","${"x".repeat(3_000_000)}"]`],
];

for (const [what, ...sent] of messages) {
  test(`${what} closes its connection`, async () => {
    const socket = await joined();
    const closed = once(socket, "close");
    for (const message of sent) socket.send(message);
    await closed;
    await assertHealthy();
  });
}

test("a namespace __proto__, and 10^5-deep data of a CONNECT, are refused or closed", async () => {
  for (const sent of ["40/__proto__,", `40/x,${nested(100_000, '{"a":', "")}`, `40{"a":${nested(100_000)}}`]) {
    const socket = new WebSocket(`ws://${address}/socket.io/?EIO=4&transport=websocket`);
    socket.on("error", () => {});
    await once(socket, "message");
    const answer = Promise.race([
      once(socket, "message").then(([data]) => String(data)),
      once(socket, "close").then(() => "closed"),
    ]);
    socket.send(sent);
    assert.match(await answer, /^(44|closed)/);
    socket.terminate();
    await assertHealthy();
  }
});

test("an answer is read only when somebody waits for it: then 10^5-deep JSON closes the connection", async () => {
  const arrived = once(io as never, "connection");
  const line = await joined();
  const [socket] = (await arrived) as [Socket];
  line.send(`431[${nested(100_000)}]`);
  line.send('428["echo","still here"]');
  assert.equal(String((await once(line, "message"))[0]), '438["still here"]');
  const answered = socket.timeout(60_000).emitWithAck("question");
  const refused = assert.rejects(answered);
  const [question] = (await once(line, "message")) as [Buffer];
  const id = /^42(\d+)/.exec(String(question))![1];
  const closed = once(line, "close");
  line.send(`43${id}[${nested(100_000)}]`);
  await closed;
  await refused;
});

test("a key __proto__ in an event is data and touches no prototype", async () => {
  const socket = await joined();
  socket.send('427["echo",{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}]');
  const [data] = (await once(socket, "message")) as [Buffer];
  assert.equal(String(data), '437[{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}]');
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  socket.terminate();
});

test("by polling: a bad packet, a binary POST, a torn payload and a body over the limit end the session with an answer", async () => {
  const base = `http://${address}/socket.io/?EIO=4&transport=polling`;
  for (const [body, status, type] of [
    [`42["a",${nested(100_000)}]`, 200, "text/plain"],
    ["9", 400, "text/plain"],
    ["b!!!", 400, "text/plain"],
    ["4a\x1e\x1e4b", 400, "text/plain"],
    [Buffer.of(0x34, 0xff), 400, "text/plain"],
    ["4a", 400, "application/octet-stream"],
    [`4${"x".repeat(1_000_001)}`, 413, "text/plain"],
  ] as const) {
    const { sid } = JSON.parse((await (await fetch(base)).text()).slice(1)) as { sid: string };
    const post = (data: string | Buffer, contentType = "text/plain") =>
      fetch(`${base}&sid=${sid}`, { method: "POST", body: data, headers: { "content-type": contentType } });
    assert.equal((await post("40")).status, 200);
    await (await fetch(`${base}&sid=${sid}`)).text();
    const answer = await post(body as string, type);
    assert.equal(answer.status, status, String(body).slice(0, 20));
    // What Socket.IO does not understand was a good packet to Engine.IO: its session is over a moment later.
    let after = await fetch(`${base}&sid=${sid}`);
    if (after.status === 200) {
      assert.equal(await after.text(), "1");
      after = await fetch(`${base}&sid=${sid}`);
    }
    assert.equal(after.status, 400);
    await assertHealthy();
  }
});
