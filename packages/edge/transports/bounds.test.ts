/** What is bounded, and what happens when it is full; what is counted, and what is logged when a session is over. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import type { DisconnectReason, Line } from "@tideway/engine/hub";
import { Opcode } from "@tideway/wire/websocket";
import { WebSocket } from "ws";
import { open as openRaw } from "./framing.testing.ts";
import { echoing, packet, startOurs } from "./servers.testing.ts";
import { outgoing, Stage } from "./testing.ts";

const handshake = "?EIO=4&transport=polling";
const tooManyOfAddress = '{"code":4,"message":"Too many sessions from this address"}';

test("sessions of one address: the next is 429 by polling and WebSocket, others are let in, and one that ends makes room", () => {
  const stage = new Stage({ sessionsPerAddressMax: 2 });
  const { sid } = stage.openPolling();
  stage.openWebSocket();
  const polled = stage.request();
  assert.deepEqual([polled.status, polled.body, polled.field("retry-after")], [429, tooManyOfAddress, "5"]);
  const upgrade = stage.webSocket(null);
  assert.deepEqual([upgrade.status, upgrade.body], [429, tooManyOfAddress]);
  assert.equal(stage.request({ address: "192.0.2.2" }).status, 200);
  // Sessions that are there go on, whatever the bound says.
  assert.equal(stage.post(sid, "4a").status, 200);
  assert.equal(stage.webSocket(sid).status, 101);
  stage.post(sid, "1");
  assert.equal(stage.request().status, 200);
  assert.equal(stage.request().status, 429);
  assert.deepEqual([stage.transports.counters.refusedFull, stage.transports.counters.refused], [3, 3]);
});

test("IPv6 counts by /64, and private networks, where a proxy stands, not at all", () => {
  const stage = new Stage({ sessionsPerAddressMax: 1 });
  assert.equal(stage.request({ address: "2001:db8:1:2::1" }).status, 200);
  assert.equal(stage.request({ address: "2001:db8:1:2:ffff::9" }).status, 429);
  assert.equal(stage.request({ address: "2001:db8:1:3::1" }).status, 200);
  for (const address of ["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "::1", "fd00::1", "::ffff:10.0.0.1"]) {
    for (let i = 0; i < 3; i++) assert.equal(stage.request({ address }).status, 200, address);
  }
});

test("sessions in all: the next is 503 until one ends", () => {
  const stage = new Stage({ sessionsMax: 2 });
  const { stream } = stage.openWebSocket();
  stage.openPolling();
  const refused = stage.request({ address: "198.51.100.1" });
  assert.deepEqual([refused.status, refused.body], [503, '{"code":4,"message":"Too many sessions"}']);
  stream.destroy();
  assert.equal(stage.request({ address: "198.51.100.1" }).status, 200);
});

test("events per second: a WebSocket that sends more is read later, loses nothing and is not closed", () => {
  const stage = new Stage({ eventsPerSecondMax: 10, pingIntervalMs: 60_000 });
  const { stream, connection } = stage.openWebSocket();
  stream.send(...Array(10).fill("4a"));
  assert.equal(stream.paused, false, "a second's worth at once");
  stream.send(...Array(15).fill("4b"));
  assert.equal(stream.paused, true);
  assert.equal(connection.heard.length, 25, "what has come is taken");
  stage.clock.advance(1_499);
  assert.equal(stream.paused, true);
  stage.clock.advance(1);
  assert.equal(stream.paused, false);
  assert.equal(stage.transports.counters.throttled, 1);
  stage.clock.advance(60_000 - 1);
  stream.send(...Array(21).fill("4c"));
  assert.equal(stream.paused, true, "a long rest buys no more than what is left and a second's worth");
});

test("bytes per second: one large message is taken, and the next waits for it", () => {
  const stage = new Stage({ bytesPerSecondMax: 1_000, pingIntervalMs: 60_000 });
  const { stream, connection } = stage.openWebSocket();
  stream.send(Buffer.alloc(3_000));
  assert.equal(connection.heard.length, 1);
  assert.equal(stream.paused, true);
  stage.clock.advance(2_000);
  assert.equal(stream.paused, false);
});

test("a client that is held back is still closed when it is gone, and a close reads the peer's answer", () => {
  const stage = new Stage({ eventsPerSecondMax: 1, pingIntervalMs: 60_000 });
  const { stream, connection } = stage.openWebSocket();
  stream.send("4a", "4b", "4c");
  assert.equal(stream.paused, true);
  connection.line.close("forced server close");
  stage.clock.advance(0);
  assert.equal(stream.paused, false, "the closing handshake is read");
  assert.equal(stream.received.at(-1), "close 1005");
  stage.clock.advance(5_000);
  assert.equal(stream.paused, false);
});

test("by polling the POST is answered later, and a session that ends meanwhile answers it", () => {
  const stage = new Stage({ eventsPerSecondMax: 2, pingIntervalMs: 60_000 });
  const { sid, connection } = stage.openPolling();
  const post = stage.post(sid, "4a\x1e4b\x1e4c\x1e4d");
  assert.equal(connection.heard.length, 4);
  assert.equal(post.done, false);
  stage.clock.advance(1_000);
  assert.deepEqual([post.done, post.status, post.body], [true, 200, "ok"]);
  const second = stage.post(sid, "4e\x1e4f\x1e4g");
  assert.equal(second.done, false);
  connection.line.close("forced server close");
  stage.poll(sid);
  stage.clock.advance(0);
  assert.equal(second.done, true);
});

test("over a real socket: a flood is read at the rate that is set, whole and in order, beside one that does not wait", async () => {
  const server = await startOurs(echoing, { eventsPerSecondMax: 200, pingIntervalMs: 25_000, pingTimeoutMs: 20_000 });
  const url = `ws://127.0.0.1:${server.port}/engine.io/?EIO=4&transport=websocket`;
  const [flood, calm] = [new WebSocket(url), new WebSocket(url)];
  await Promise.all([flood, calm].map((client) => once(client, "message")));
  const started = performance.now();
  const back: string[] = [];
  const whole = new Promise<void>((done) => {
    flood.on("message", (data) => {
      if (back.push(String(data)) === 500) done();
    });
  });
  for (let i = 0; i < 500; i++) flood.send(`4${i}`);
  calm.send("4calm");
  assert.equal(String((await once(calm, "message"))[0]), "4calm");
  await whole;
  // Frames that came in one segment are taken together: the wait is over when none is owed, for the next message.
  flood.send("4last");
  assert.equal(String((await once(flood, "message"))[0]), "4last");
  assert.ok(performance.now() - started >= 1_400, "500 and one at 200 a second, after a burst of 200");
  assert.deepEqual(
    back.slice(0, 500),
    [...Array(500).keys()].map((i) => `4${i}`),
  );
  flood.terminate();
  calm.terminate();
  await server.close();
});

test("a paused reader beside a thousand healthy ones: memory is bounded, it is cut off, and nobody else waits", async () => {
  const lines: Line[] = [];
  const ends: DisconnectReason[] = [];
  const server = await startOurs(
    (line) => {
      lines.push(line);
      return { text() {}, binary() {}, upgraded() {}, closed: (reason) => void ends.push(reason) };
    },
    { pingIntervalMs: 25_000, pingTimeoutMs: 20_000, outQueueBytesMax: 1_000_000 },
  );
  const sockets: Socket[] = [];
  for (let i = 0; i < 1001; i++) sockets.push((await openRaw(server.port)).socket);
  const [paused, ...healthy] = sockets as [Socket, ...Socket[]];
  const read = new Array<number>(healthy.length).fill(0);
  healthy.forEach((socket, i) => {
    socket.on("data", (chunk: Buffer) => {
      read[i]! += chunk.length;
    });
    socket.resume();
  });
  const one = packet("x".repeat(500));
  // Only the paused one gets these as well: a thousand times as much would tell nothing more.
  const large = packet("x".repeat(50_000));
  let sent = 0;
  const caughtUp = () => read.every((bytes) => bytes >= sent * 500);
  while (ends.length === 0) {
    for (const line of lines) line.send(one);
    lines[0]!.send(large);
    sent++;
    // What the kernel takes on both sides, and a million bytes of the queue.
    assert.ok(sent < 500, "25 MB for one that does not read");
    while (!caughtUp()) await new Promise((done) => setImmediate(done));
  }
  assert.deepEqual(ends, ["slow consumer"]);
  assert.ok(caughtUp(), "the healthy ones have it all");
  for (const socket of [paused, ...healthy]) socket.destroy();
  await server.close();
});

test("the counters tell of what is there now, and are back at nothing when all have gone", () => {
  const stage = new Stage();
  const { counters } = stage.transports;
  const { sid, connection } = stage.openPolling();
  const { stream, connection: other } = stage.openWebSocket();
  const now = () => [counters.polling, counters.webSockets, counters.queuedPackets, counters.queuedBytes];
  assert.deepEqual(now(), [1, 1, 0, 0]);
  connection.line.send(outgoing("12345"));
  connection.line.send(outgoing("67"));
  assert.deepEqual(now(), [1, 1, 2, 7]);
  const candidate = stage.webSocket(sid).stream;
  candidate.send("2probe", "5");
  stage.clock.advance(0);
  assert.deepEqual(now(), [0, 2, 0, 0]);
  stream.stuck = true;
  for (let i = 0; i < 3; i++) {
    other.line.send(outgoing("abc", [], true));
    stage.clock.advance(0);
  }
  assert.deepEqual(now(), [0, 2, 2, 6], "the first is with the kernel");
  stage.transports.close();
  assert.deepEqual(now(), [0, 0, 0, 0]);
});

test("one line is logged for each session's life: transports, time, traffic and why it ended", () => {
  const lines: { readonly [name: string]: unknown }[] = [];
  const logger = {
    info: (fields: object, message: string) => void (message === "connection closed" && lines.push({ ...fields })),
    debug() {},
    warn() {},
    error() {},
  };
  const stage = new Stage({ logger: logger as never });
  const { sid, connection } = stage.openPolling();
  stage.post(sid, "4abc");
  const { stream } = stage.webSocket(sid);
  stream.send("2probe", "5");
  stream.send("4de", "4f");
  connection.line.send(outgoing("answer"));
  stage.clock.advance(1_500);
  stream.frame(Opcode.close);
  stage.clock.advance(0);
  const { bytesIn, bytesOut, ...line } = lines[0]!;
  assert.deepEqual(line, {
    sid,
    address: "192.0.2.1",
    transports: "polling, websocket",
    reason: "transport close",
    forMs: 1_500,
    packetsIn: 3,
    packetsOut: 2,
  });
  // The POST's body, and frames of a WebSocket with their heads.
  assert.equal(bytesIn, 4 + (6 + 6) + (6 + 1) + (6 + 3) + (6 + 2) + 6);
  assert.ok((bytesOut as number) > 100);
  const { stream: second, connection: refused } = stage.openWebSocket();
  second.send("not engine.io");
  stage.clock.advance(0);
  assert.deepEqual(refused.heard, ["closed: parse error"]);
  assert.deepEqual([lines[1]!["transports"], lines[1]!["reason"], lines.length], ["websocket", "parse error", 2]);
});

test("Origin is looked at on the handshake, on every poll, every POST and the upgrade, over real sockets", async () => {
  const server = await startOurs(echoing, { origins: ["https://good.test"] });
  const base = `http://127.0.0.1:${server.port}/engine.io/${handshake}`;
  const forbidden = '{"code":4,"message":"Origin not allowed"}';
  const evil = { headers: { origin: "https://evil.test" } };
  const opening = await fetch(base, { headers: { origin: "https://good.test" } });
  const { sid } = JSON.parse((await opening.text()).slice(1)) as { sid: string };
  for (const [url, init] of [
    [base, evil],
    [`${base}&sid=${sid}`, evil],
    [`${base}&sid=${sid}`, { ...evil, method: "POST", body: "4a" }],
    // One that knows no session learns nothing else.
    [`${base}&sid=unknown`, evil],
  ] as const) {
    const answer = await fetch(url, init);
    assert.deepEqual([answer.status, await answer.text()], [403, forbidden]);
  }
  for (const query of ["?EIO=4&transport=websocket", `?EIO=4&transport=websocket&sid=${sid}`]) {
    const socket = connect(server.port, "127.0.0.1");
    socket.write(
      `GET /engine.io/${query} HTTP/1.1\r\nhost: 127.0.0.1:${server.port}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n` +
        "origin: https://evil.test\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    const [answer] = (await once(socket, "data")) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 400 /);
    assert.ok(answer.toString().endsWith(forbidden));
    socket.destroy();
  }
  await server.close();
});
