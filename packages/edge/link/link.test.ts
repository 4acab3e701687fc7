import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { silentLogger } from "@tideway/base";
import { FakeClock } from "@tideway/base/testing";
import { systemClock } from "@tideway/edge/clock";
import { encodeBatch, encodeBeat, encodeHello } from "./frames.ts";
import { connectLink, createLinkServer, type Link, type LinkLimits, linkLimits } from "./index.ts";
import type { HubPort, ServerPort, ToHub, ToServer } from "./messages.ts";

const directory = mkdtempSync(join(tmpdir(), "tideway-link-"));
after(() => rmSync(directory, { recursive: true, force: true }));
let sockets = 0;
const freshPath = () => join(directory, `${++sockets}.sock`);

/** A hub that writes down what it was told. Waiting is by `until`: it looks again after each message or departure. */
class RecordingHub {
  readonly seats: { server: ServerPort; heard: ToHub[]; gone: boolean }[] = [];
  #watchers: (() => void)[] = [];

  readonly attach = (server: ServerPort): HubPort => {
    const seat = { server, heard: [] as ToHub[], gone: false };
    this.seats.push(seat);
    this.#wake();
    return {
      send: (message) => {
        seat.heard.push(message);
        this.#wake();
      },
      gone: () => {
        assert.equal(seat.gone, false, "gone is called at most once");
        seat.gone = true;
        this.#wake();
      },
    };
  };

  #wake(): void {
    for (const watcher of this.#watchers.splice(0)) watcher();
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }
}

interface Side {
  link: Link;
  received: ToServer[];
  states: string[];
  until(holds: () => boolean): Promise<void>;
}

function joinHub(
  address: string,
  handle: (message: ToServer, link: Link) => void = () => {},
  limits = linkLimits,
): Side {
  const watchers: (() => void)[] = [];
  const wake = () => {
    for (const watcher of watchers.splice(0)) watcher();
  };
  const received: ToServer[] = [];
  const states: string[] = [];
  const link: Link = connectLink({
    address,
    instance: "web.1",
    server: {
      send(message) {
        received.push(message);
        handle(message, link);
        wake();
      },
    },
    onState(state) {
      states.push(state);
      wake();
    },
    clock: systemClock,
    logger: silentLogger,
    limits,
  });
  const until = async (holds: () => boolean) => {
    while (!holds()) await new Promise<void>((resolve) => watchers.push(resolve));
  };
  return { link, received, states, until };
}

const payload = (text: string) => ({ json: JSON.stringify([text]), attachments: [] });
const event = (seq: number, text: string): ToServer => ({
  type: "event",
  socket: "s",
  seq,
  payload: payload(text),
  ack: null,
});
const emit = (text: string, extra: Partial<Extract<ToHub, { type: "emit" }>> = {}): ToHub => ({
  type: "emit",
  to: { namespace: "/", rooms: [], except: [] },
  payload: payload(text),
  compress: true,
  volatile: false,
  answers: null,
  timeoutMs: 0,
  receipt: null,
  key: null,
  ...extra,
});
const emitted = (heard: ToHub[]) => heard.filter((m) => m.type === "emit").map((m) => JSON.parse(m.payload.json)[0]);

function serverAt(
  path: string,
  hub: RecordingHub,
  clock = systemClock as import("@tideway/base").Clock,
  limits: LinkLimits = linkLimits,
) {
  return createLinkServer({ path, attach: hub.attach, clock, logger: silentLogger, limits });
}

test("messages pass both ways, and handlers' emits stand before done in the same batch", async () => {
  const hub = new RecordingHub();
  const server = await serverAt(freshPath(), hub);
  const side = joinHub(server.address, (message, link) => {
    if (message.type === "event") link.send(emit(`effect of ${message.seq}`));
  });
  await hub.until(() => hub.seats[0]?.heard.length === 1);
  assert.deepEqual(hub.seats[0]!.heard, [{ type: "hello", instance: "web.1" }]);
  hub.seats[0]!.server.send(event(1, "a"));
  hub.seats[0]!.server.send(event(2, "b"));
  await hub.until(() => hub.seats[0]!.heard.some((m) => m.type === "done"));
  assert.deepEqual(
    hub.seats[0]!.heard.slice(1).map((m) => (m.type === "emit" ? JSON.parse(m.payload.json)[0] : m)),
    ["effect of 1", "effect of 2", { type: "done", seq: 2 }],
    "one done for the whole batch, behind its effects",
  );
  side.link.gone();
  await hub.until(() => hub.seats[0]!.gone);
  await server.close();
});

test("the socket's file is private, and is gone after close", async () => {
  const path = freshPath();
  const server = await serverAt(path, new RecordingHub());
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await server.close();
  assert.equal(existsSync(path), false);
});

test("a stale file is removed, a living one and a plain file are not", async () => {
  const path = freshPath();
  const first = await serverAt(path, new RecordingHub());
  await assert.rejects(serverAt(path, new RecordingHub()), { code: "START_ALREADY_RUNNING" });
  await first.close();
  writeFileSync(path, "mine");
  await assert.rejects(serverAt(path, new RecordingHub()), { code: "START_DATA_UNUSABLE" });
  await assert.rejects(serverAt(`/tmp/${"x".repeat(100)}`, new RecordingHub()), { code: "START_DATA_UNUSABLE" });
  rmSync(path);
  // What a killed process leaves: a socket's file that nobody listens on. Renamed away, Node does not remove it on close.
  const dead = createServer();
  const elsewhere = freshPath();
  dead.listen(elsewhere);
  await once(dead, "listening");
  const { renameSync } = await import("node:fs");
  renameSync(elsewhere, path);
  await new Promise((resolve) => dead.close(resolve));
  const second = await serverAt(path, new RecordingHub());
  await second.close();
});

test("emits sent while there is no hub arrive first and in order when there is one; volatile ones do not", async () => {
  const path = freshPath();
  const side = joinHub(`unix:${path}`);
  side.link.send(emit("one"));
  side.link.send(emit("lost", { volatile: true }));
  side.link.send(emit("asked", { receipt: 1, key: "k" }));
  side.link.send({ type: "done", seq: 4 });
  side.link.send(emit("two"));
  const hub = new RecordingHub();
  const server = await serverAt(path, hub);
  await side.until(() => side.states.at(-1) === "open");
  side.link.send(emit("three"));
  await hub.until(() => (hub.seats[0]?.heard.length ?? 0) >= 5);
  assert.deepEqual(emitted(hub.seats[0]!.heard), ["one", "asked", "two", "three"]);
  side.link.gone();
  await server.close();
});

test("the buffer for an absent hub is bounded: what does not fit is dropped, what fits arrives", async () => {
  const path = freshPath();
  const side = joinHub(`unix:${path}`, undefined, { ...linkLimits, bufferBytesMax: 700 });
  for (const text of ["one", "two", "three"]) side.link.send(emit(text));
  const hub = new RecordingHub();
  const server = await serverAt(path, hub);
  await hub.until(() => (hub.seats[0]?.heard.length ?? 0) >= 3);
  assert.deepEqual(emitted(hub.seats[0]!.heard), ["one", "two"]);
  side.link.gone();
  await server.close();
});

test("a server comes back by itself when the hub restarts", async () => {
  const path = freshPath();
  const before = new RecordingHub();
  const first = await serverAt(path, before);
  const side = joinHub(first.address);
  await side.until(() => side.states.at(-1) === "open");
  await first.close();
  await side.until(() => side.states.at(-1) === "down");
  const hub = new RecordingHub();
  const second = await serverAt(path, hub);
  await side.until(() => side.states.at(-1) === "open");
  await hub.until(() => hub.seats[0]?.heard.length === 1);
  assert.deepEqual(side.states, ["open", "down", "open"]);
  side.link.gone();
  await second.close();
});

test("a half-received batch is discarded when its sender dies", async () => {
  const path = freshPath();
  const hub = new RecordingHub();
  const server = await serverAt(path, hub);
  const socket = connect(path);
  socket.write(encodeHello(1));
  socket.write(encodeBatch([{ type: "hello", instance: "x" }]));
  await hub.until(() => hub.seats[0]?.heard.length === 1);
  const batch = encodeBatch([emit("effect"), { type: "done", seq: 1 }]);
  socket.end(batch.subarray(0, batch.length - 1));
  await hub.until(() => hub.seats[0]!.gone);
  assert.equal(hub.seats[0]!.heard.length, 1, "neither the emit nor done was applied");
  await server.close();
});

test("a batch that arrives one byte at a time is applied once, whole", async () => {
  const path = freshPath();
  const hub = new RecordingHub();
  const server = await serverAt(path, hub);
  const socket = connect(path).setNoDelay(true);
  const bytes = Buffer.concat([
    encodeHello(1),
    encodeBeat(),
    encodeBatch([emit("a"), emit("b")]),
    encodeBatch([emit("c")]),
  ]);
  for (const byte of bytes) await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve));
  await hub.until(() => hub.seats[0]?.heard.length === 3);
  assert.deepEqual(emitted(hub.seats[0]!.heard), ["a", "b", "c"]);
  socket.destroy();
  await hub.until(() => hub.seats[0]!.gone);
  await server.close();
});

const garbage: [string, Buffer, number][] = [
  ["HTTP instead of hello", Buffer.from("GET / HTTP/1.1\r\n\r\n"), 0],
  ["another version", encodeHello(99), 0],
  ["a batch before hello", encodeBatch([{ type: "leaving" }]), 0],
  ["a second hello", Buffer.concat([encodeHello(1), encodeHello(1)]), 1],
  ["a message of the other direction", Buffer.concat([encodeHello(1), encodeBatch([event(1, "x")])]), 1],
];
for (const [what, bytes, seats] of garbage) {
  test(`${what} closes the line`, async () => {
    const path = freshPath();
    const hub = new RecordingHub();
    const server = await serverAt(path, hub);
    const socket = connect(path);
    socket.resume();
    socket.write(bytes);
    await once(socket, "close");
    assert.equal(hub.seats.length, seats);
    for (const seat of hub.seats) assert.ok(seat.gone && seat.heard.length === 0);
    await server.close();
  });
}

test("a hung server is noticed within deadMs, one that beats is not", async () => {
  const path = freshPath();
  const hub = new RecordingHub();
  const clock = new FakeClock();
  const server = await serverAt(path, hub, clock);
  const socket = connect(path);
  socket.resume();
  socket.write(encodeHello(1));
  await hub.until(() => hub.seats.length === 1);
  clock.advance(15_000);
  socket.write(encodeBatch([{ type: "leaving" }]));
  await hub.until(() => hub.seats[0]!.heard.length === 1);
  clock.advance(19_000);
  assert.equal(hub.seats[0]!.gone, false, "34 s after hello, 19 s after the last sign of life");
  clock.advance(2_000);
  assert.equal(hub.seats[0]!.gone, true);
  await once(socket, "close");
  await server.close();
});

test("a server that does not read is cut off when its queue is full", async () => {
  const path = freshPath();
  const hub = new RecordingHub();
  const server = await serverAt(path, hub, systemClock, { ...linkLimits, queueBytesMax: 1 << 20 });
  const socket = connect(path).pause();
  socket.write(encodeHello(1));
  await hub.until(() => hub.seats.length === 1);
  const big = "x".repeat(64 * 1024);
  for (let seq = 1; seq < 64 && !hub.seats[0]!.gone; seq++) hub.seats[0]!.server.send(event(seq, big));
  assert.equal(hub.seats[0]!.gone, true);
  socket.destroy();
  await server.close();
});

test("an emit over the payload's bound is refused by itself, and the line lives on", async () => {
  const hub = new RecordingHub();
  const server = await serverAt(freshPath(), hub);
  const side = joinHub(server.address, undefined, { ...linkLimits, payloadBytesMax: 1000 });
  await side.until(() => side.states.at(-1) === "open");
  side.link.send(emit("x".repeat(2000), { receipt: 5 }));
  await side.until(() => side.received.length === 1);
  assert.deepEqual(side.received, [{ type: "unpublished", receipt: 5, code: "TOO_LARGE" }]);
  side.link.send(emit("small"));
  await hub.until(() => hub.seats[0]!.heard.length === 2);
  assert.deepEqual(emitted(hub.seats[0]!.heard), ["small"]);
  side.link.gone();
  await server.close();
});
