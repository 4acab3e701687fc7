import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { FakeClock } from "@tideway/base/testing";
import { TextWriter, TickEnd } from "./index.ts";

describe("a writer of texts", () => {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  const open: Socket[] = [];
  before(() => new Promise<void>((done) => server.listen(0, "127.0.0.1", done)));
  after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });

  /** A socket that is written to, and the one at its other end, which is not read yet. */
  async function pair(): Promise<{ socket: Socket; peer: Socket; clock: FakeClock; writer: TextWriter }> {
    const accepted = once(server, "connection") as Promise<[Socket]>;
    const socket = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    const [peer] = await accepted;
    open.push(socket, peer);
    peer.on("error", () => {});
    const clock = new FakeClock();
    return { socket, peer, clock, writer: new TextWriter(socket, new TickEnd(clock)) };
  }

  async function heard(peer: Socket, bytes: number): Promise<string> {
    let text = "";
    peer.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    peer.resume();
    while (text.length < bytes) await once(peer, "data");
    return text;
  }

  it("gathers until the tick ends, or until it is told to write", async () => {
    const { peer, clock, writer } = await pair();
    writer.gather("one ");
    writer.gather("two ");
    assert.equal(writer.gathered, 8);
    clock.settle();
    assert.equal(writer.gathered, 0);
    assert.equal(writer.waiting, 0, "the system has taken it");
    writer.gather("three\xe9");
    writer.flush();
    assert.equal(writer.gathered, 0);
    clock.settle();
    assert.equal(await heard(peer, 14), "one two three\xe9");
  });

  it("keeps the order with what others write to the socket, whether or not the system takes it", async () => {
    const { socket, peer, writer } = await pair();
    let expected = "";
    const filler = "f".repeat(300_000);
    for (let i = 0; i < 40; i++) {
      const text = `${i} ${"t".repeat(i * 500)}`;
      writer.gather(text);
      writer.flush();
      if (i % 3 === 0) socket.write(filler);
      if (i % 5 === 0) {
        socket.cork();
        writer.gather("corked");
        writer.flush();
        socket.write("behind");
        socket.uncork();
      }
      expected += text + (i % 3 === 0 ? filler : "") + (i % 5 === 0 ? "corkedbehind" : "");
    }
    assert.ok(writer.waiting > 0, "the system did not take all of it");
    assert.equal(await heard(peer, expected.length), expected);
    assert.equal(writer.waiting, 0);
  });

  it("knows what the system did not take of one text, and when it has", async () => {
    const { socket, peer, writer } = await pair();
    let sent = 0;
    while (writer.waiting === 0) {
      writer.gather("x".repeat(200_000));
      writer.flush();
      sent += 200_000;
    }
    assert.equal(socket.writableLength, 0, "the stream knows nothing of it");
    assert.equal(writer.waiting, 200_000);
    writer.gather("behind");
    writer.flush();
    socket.end();
    const text = await heard(peer, sent + 6);
    assert.ok(text.endsWith("xbehind"));
    await once(peer, "end");
  });

  it("ends the socket with the error that a write has, as the stream would", async () => {
    const { socket, peer, writer } = await pair();
    peer.resetAndDestroy();
    await once(peer, "close");
    const failed = once(socket, "error") as Promise<[NodeJS.ErrnoException]>;
    writer.gather("too late");
    writer.flush();
    const [error] = await failed;
    assert.match(error.code ?? "", /^(EPIPE|ECONNRESET)$/);
    assert.equal(socket.destroyed, true);
    writer.gather("nothing");
    writer.flush();
    assert.equal(writer.gathered, 0);
  });

  it("waits for a socket that is still connecting", async () => {
    const accepted = once(server, "connection") as Promise<[Socket]>;
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    const clock = new FakeClock();
    const writer = new TextWriter(socket, new TickEnd(clock));
    writer.gather("hello");
    clock.settle();
    assert.equal(writer.waiting, 5);
    const [peer] = await accepted;
    open.push(socket, peer);
    assert.equal(await heard(peer, 5), "hello");
  });
});
