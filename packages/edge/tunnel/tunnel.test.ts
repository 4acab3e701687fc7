import assert from "node:assert/strict";
import { once } from "node:events";
import type { Server, Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import type { Clock } from "@tideway/base";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { systemClock } from "@tideway/edge/clock";
import { connectStream, type Tunnel, TunnelEnd, type TunnelOptions, Tunnels } from "./index.ts";
import { connected, hear, openServer, until } from "./testing.ts";

const servers: Server[] = [];
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

interface Rig {
  readonly tunnels: Tunnels;
  readonly tunnel: Tunnel;
  /** The far ends, in the test's hand. */
  readonly client: Socket;
  readonly upstream: Socket;
  /** The near ends, in the tunnel's. */
  readonly nearClient: Socket;
  readonly nearUpstream: Socket;
  readonly over: Promise<TunnelEnd>;
}

/** A server, and the next connection to it. */
async function accepting(): Promise<{ port: number; socket: Promise<Socket> }> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const { server, port } = await openServer((socket) => {
    sockets.push(socket);
    resolve(socket);
  });
  servers.push(server);
  return { port, socket: promise };
}

async function rig(
  options: TunnelOptions & {
    clock?: Clock;
    idleMs?: number;
    before?(client: Socket, nearClient: Socket): unknown;
  } = {},
): Promise<Rig> {
  const front = await accepting();
  const back = await accepting();
  const client = await connected(front.port);
  const nearClient = await front.socket;
  const { socket: nearUpstream, memory } = connectStream({ host: "127.0.0.1", port: back.port });
  await once(nearUpstream, "connect");
  const upstream = await back.socket;
  sockets.push(client, nearUpstream);
  await options.before?.(client, nearClient);
  const over = Promise.withResolvers<TunnelEnd>();
  const tunnels = new Tunnels(options.clock ?? systemClock, options.idleMs ?? 0);
  const tunnel = tunnels.open(nearClient, nearUpstream, { upstreamMemory: memory, onClosed: over.resolve, ...options });
  return { tunnels, tunnel, client, upstream, nearClient, nearUpstream, over: over.promise };
}

describe("a tunnel", () => {
  it("passes bytes both ways, those that had arrived before first", async () => {
    const { tunnel, tunnels, client, upstream } = await rig({
      lateFromClient: Buffer.from("early "),
      lateFromUpstream: Buffer.from("hello "),
    });
    const atClient = hear(client);
    const atUpstream = hear(upstream);
    client.write("question");
    upstream.write("answer");
    await until(() => atClient.text === "hello answer" && atUpstream.text === "early question");
    assert.equal(tunnel.bytesFromClient, 14);
    assert.equal(tunnel.bytesFromUpstream, 12);
    assert.deepEqual(
      { ...tunnels.counters },
      { open: 1, opened: 1, idled: 0, bytesFromClients: 14, bytesFromUpstreams: 12 },
    );
  });

  it("passes on the client's FIN and lets the upstream answer after it", async () => {
    const { client, upstream, over } = await rig();
    const atClient = hear(client);
    const atUpstream = hear(upstream);
    client.end("all of it");
    await once(upstream, "end");
    assert.equal(atUpstream.text, "all of it");
    assert.ok(!atClient.ended);
    upstream.write("the ");
    upstream.end("answer");
    assert.equal(await over, TunnelEnd.clean);
    await atClient.closed;
    assert.deepEqual([atClient.text, atClient.ended, atClient.error], ["the answer", true, ""]);
  });

  it("passes on a FIN that was seen before it was opened", async () => {
    const before = async (client: Socket, nearClient: Socket): Promise<void> => {
      client.end();
      await once(nearClient.resume(), "end");
      nearClient.pause();
    };
    const { upstream, over } = await rig({ before, lateFromClient: Buffer.from("all of it") });
    const atUpstream = hear(upstream);
    await once(upstream, "end");
    assert.equal(atUpstream.text, "all of it");
    upstream.end();
    assert.equal(await over, TunnelEnd.clean);
  });

  it("passes on the upstream's FIN and lets the client send on after it", async () => {
    const { client, upstream, over } = await rig();
    const atClient = hear(client);
    const atUpstream = hear(upstream);
    upstream.end("go");
    await once(client, "end");
    assert.equal(atClient.text, "go");
    client.write("much ");
    client.end("more");
    assert.equal(await over, TunnelEnd.clean);
    await atUpstream.closed;
    assert.deepEqual([atUpstream.text, atUpstream.ended, atUpstream.error], ["much more", true, ""]);
  });

  it("passes on a reset of the upstream, after what came before it, never as an end", async () => {
    const { client, upstream, over } = await rig();
    const atClient = hear(client);
    upstream.write("half an ans");
    await until(() => atClient.text !== "");
    upstream.resetAndDestroy();
    assert.equal(await over, TunnelEnd.upstreamBroke);
    await atClient.closed;
    assert.deepEqual([atClient.text, atClient.ended, atClient.error], ["half an ans", false, "ECONNRESET"]);
  });

  it("passes on a reset of the client", async () => {
    const { client, upstream, over } = await rig();
    const atUpstream = hear(upstream);
    client.write("half a ques");
    await until(() => atUpstream.text !== "");
    client.resetAndDestroy();
    assert.equal(await over, TunnelEnd.clientBroke);
    await atUpstream.closed;
    assert.deepEqual([atUpstream.text, atUpstream.ended, atUpstream.error], ["half a ques", false, "ECONNRESET"]);
  });

  it("broken off in the very moment of a FIN, both sides close, and no descriptor is lost", async () => {
    const { tunnel, client, upstream, nearClient, nearUpstream, over } = await rig();
    hear(client);
    hear(upstream);
    nearClient.on("end", () => tunnel.breakOff());
    client.end("x");
    assert.equal(await over, TunnelEnd.brokenOff);
    assert.ok(nearClient.closed && nearUpstream.closed);
  });

  it("a client that is still sending gets the whole answer of an upstream that closed without reading", async () => {
    const { tunnel, client, upstream, nearClient, nearUpstream, over } = await rig();
    const chunk = Buffer.alloc(64 * 1024);
    const send = (): void => {
      while (client.writable && client.write(chunk)) {}
    };
    client.on("drain", send);
    send();
    await until(() => tunnel.bytesFromClient > 0);
    // Nothing of the answer is read before the upstream is gone: it waits in the system's buffers.
    const answer = Buffer.alloc(1024 * 1024);
    upstream.end(answer);
    await until(() => nearClient.writableFinished);
    // Closing over what was not read: the kernel sends a reset behind the answer.
    upstream.destroy();
    await until(() => nearUpstream.closed);
    const atClient = hear(client, false);
    await once(client, "end");
    assert.equal(atClient.bytes, answer.length);
    client.removeAllListeners("drain");
    client.end();
    assert.equal(await over, TunnelEnd.upstreamBroke);
  });

  it("broken off: both sides get a reset", async () => {
    const { tunnel, client, upstream, over } = await rig();
    const heard = [hear(client), hear(upstream)];
    tunnel.breakOff();
    assert.equal(await over, TunnelEnd.brokenOff);
    for (const each of heard) {
      await each.closed;
      assert.deepEqual([each.ended, each.error], [false, "ECONNRESET"]);
    }
  });
});

describe("a tunnel's limits of time", () => {
  it("idle: both sides get a reset, but not while anything passes", async () => {
    const clock = new FakeClock();
    const { client, upstream, over } = await rig({ clock, idleMs: 1_000 });
    const atClient = hear(client);
    const atUpstream = hear(upstream);
    clock.advance(900);
    client.write("ping");
    await until(() => atUpstream.text === "ping");
    clock.advance(900);
    upstream.write("pong");
    await until(() => atClient.text === "pong");
    clock.advance(900);
    assert.ok(!client.closed && !upstream.closed);
    clock.advance(350);
    assert.equal(await over, TunnelEnd.idle);
    await atClient.closed;
    await atUpstream.closed;
    assert.deepEqual([atClient.error, atUpstream.error], ["ECONNRESET", "ECONNRESET"]);
    assert.equal(clock.pendingCount, 0);
  });

  it("without an idle limit there is no timer", async () => {
    const clock = new FakeClock();
    await rig({ clock });
    assert.equal(clock.pendingCount, 0);
  });

  it("stalled: a side that takes nothing of what is left for it after the other is gone is reset in the end", async () => {
    const clock = new FakeClock();
    const { tunnel, upstream, nearClient, over } = await rig({ clock, before: (each) => each.pause() });
    const chunk = Buffer.alloc(8 * 1024);
    for (let sent = chunk.length; nearClient.writableLength === 0; sent += chunk.length) {
      upstream.write(chunk);
      await until(() => tunnel.bytesFromUpstream === sent);
    }
    upstream.resetAndDestroy();
    await until(() => clock.pendingCount > 0);
    clock.advance(59_900);
    assert.ok(!nearClient.destroyed);
    clock.advance(200);
    assert.ok(nearClient.destroyed);
    await over;
    assert.equal(clock.pendingCount, 0);
  });

  it("a client that reads slowly gets all of it, long after the upstream has closed", async () => {
    const clock = new FakeClock();
    const { client, upstream, nearClient, nearUpstream, over } = await rig({ clock });
    const bytes = 32 * 1024 * 1024;
    upstream.end(Buffer.alloc(bytes));
    client.end();
    client.pause();
    let got = 0;
    client.on("data", (chunk: Buffer) => {
      got += chunk.length;
      client.pause();
      // As if each piece took the client ten seconds.
      clock.advance(10_000);
      setImmediate(() => client.resume());
    });
    client.on("close", () => clock.advance(10_000));
    client.resume();
    await once(client, "end");
    assert.equal(got, bytes);
    assert.equal(await over, TunnelEnd.clean);
    assert.ok(nearClient.closed && nearUpstream.closed);
  });
});

describe("a tunnel's memory", () => {
  it("what a slow reader leaves is bounded, both ways", async () => {
    const { client, upstream, nearClient, nearUpstream } = await rig();
    for (const [from, to, near] of [
      [client, upstream, nearUpstream],
      [upstream, client, nearClient],
    ] as const) {
      const bytes = 64 * 1024 * 1024;
      let got = 0;
      let queuedMost = 0;
      to.on("data", (chunk: Buffer) => {
        got += chunk.length;
        queuedMost = Math.max(queuedMost, near.writableLength);
        to.pause();
        setImmediate(() => to.resume());
      });
      const chunk = Buffer.alloc(256 * 1024);
      for (let sent = 0; sent < bytes; sent += chunk.length) {
        if (!from.write(chunk)) await once(from, "drain");
      }
      await until(() => got === bytes);
      assert.ok(queuedMost > 0 && queuedMost <= 384 * 1024, `${queuedMost} bytes waited`);
    }
  });

  it("is never used again before it was sent: many tunnels, readers that pause at will, every byte as it was", async () => {
    const random = new SeededRandom(3);
    const rigs = await Promise.all(Array.from({ length: 6 }, () => rig()));
    const words = 2 * 1024 * 1024;
    const streams = rigs.flatMap(({ client, upstream }, i) => {
      return [checked(client, upstream, i * 2, words, random), checked(upstream, client, i * 2 + 1, words, random)];
    });
    await Promise.all(streams);
    assert.deepEqual(await Promise.all(rigs.map(({ over }) => over)), Array(6).fill(TunnelEnd.clean));
  });
});

/** Sends `words` numbers that tell stream and place, in pieces of any size, and reads them with pauses. */
async function checked(from: Socket, to: Socket, stream: number, words: number, random: SeededRandom): Promise<void> {
  const all = new Uint32Array(words);
  for (let i = 0; i < words; i++) all[i] = (stream << 27) ^ i;
  const bytes = Buffer.from(all.buffer);
  let at = 0;
  to.on("data", (chunk: Buffer) => {
    assert.ok(chunk.equals(bytes.subarray(at, at + chunk.length)), `stream ${stream} at ${at}`);
    at += chunk.length;
    if (random.fraction() < 0.2) {
      to.pause();
      setImmediate(() => setImmediate(() => to.resume()));
    }
  });
  const ended = once(to, "end");
  for (let sent = 0; sent < bytes.length; ) {
    const size = Math.ceil(2 ** (random.fraction() * 19));
    const more = from.write(bytes.subarray(sent, sent + size));
    sent += size;
    if (!more) await once(from, "drain");
    else if (random.fraction() < 0.1) await new Promise(setImmediate);
  }
  from.end();
  await ended;
  assert.equal(at, bytes.length);
}
