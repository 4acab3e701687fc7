import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { after, before, describe, it } from "node:test";
import { onread, ReadBuffer, readDirectly, takesDirectly } from "./index.ts";

/** A socket that a server accepted, read directly, and the client at its other end. */
interface Pair {
  readonly client: Socket;
  readonly socket: Socket;
  /** Resolves to what was read once that is so many bytes. */
  received(bytes: number): Promise<string>;
}

describe("an accepted socket that is read directly", () => {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  const open: Socket[] = [];
  before(() => new Promise<void>((done) => server.listen(0, "127.0.0.1", done)));
  after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });

  async function pair(): Promise<Pair> {
    const accepted = once(server, "connection") as Promise<[Socket]>;
    const client = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
    const [shell] = await accepted;
    const reads = new ReadBuffer();
    let text = "";
    let wanted = Number.POSITIVE_INFINITY;
    let tell: (text: string) => void = () => {};
    const socket = readDirectly(shell, {
      allowHalfOpen: true,
      onread: onread(reads, (bytes) => {
        text += reads.view(bytes).toString("latin1");
        if (text.length >= wanted) tell(text);
      }),
    });
    open.push(client, socket);
    const received = (bytes: number): Promise<string> => {
      wanted = bytes;
      return text.length >= bytes ? Promise.resolve(text) : new Promise((resolve) => (tell = resolve));
    };
    return { client, socket, received };
  }

  it("tells every byte, in order, and emits none", async () => {
    const { client, socket, received } = await pair();
    socket.on("data", () => assert.fail("the stream was given bytes"));
    const sent = Array.from({ length: 40_000 }, (_, i) => `${i} `).join("");
    client.write(sent);
    assert.equal(await received(sent.length), sent);
  });

  it("rests while it is paused, and goes on", async () => {
    const { client, socket, received } = await pair();
    socket.pause();
    client.write("one");
    // The next connection's bytes have come when those of this one, sent before, would have.
    const other = await pair();
    other.client.write("two");
    await other.received(3);
    assert.equal(await Promise.race([received(3), Promise.resolve("nothing yet")]), "nothing yet");
    socket.resume();
    assert.equal(await received(3), "one");
  });

  it("writes, and knows both addresses", async () => {
    const { client, socket } = await pair();
    socket.write("hello");
    const [chunk] = (await once(client, "data")) as [Buffer];
    assert.equal(chunk.toString(), "hello");
    assert.equal(socket.remotePort, client.localPort);
    assert.equal(socket.localPort, client.remotePort);
  });

  it("sees the other side's end, and may write on", async () => {
    const { client, socket, received } = await pair();
    const ended = once(socket, "end");
    const closed = once(socket, "close");
    client.end("last");
    assert.equal(await received(4), "last");
    await ended;
    socket.end("answer");
    const [chunk] = (await once(client, "data")) as [Buffer];
    assert.equal(chunk.toString(), "answer");
    await closed;
  });

  it("breaks with a reset, as an error", async () => {
    const { client, socket } = await pair();
    const failed = once(socket, "error") as Promise<[NodeJS.ErrnoException]>;
    const closed = new Promise((resolve) => socket.on("close", resolve));
    client.resetAndDestroy();
    assert.equal((await failed)[0].code, "ECONNRESET");
    await closed;
  });

  it("is closed by destroy, and the client sees it", async () => {
    const { client, socket } = await pair();
    client.resume();
    socket.destroy();
    await once(client, "end");
  });
});

describe("a socket that is written past its stream", () => {
  const server = createServer({ pauseOnConnect: true });
  before(() => new Promise<void>((done) => server.listen(0, "127.0.0.1", done)));
  after(() => server.close());

  async function pair(): Promise<{ ours: Socket; theirs: Socket }> {
    const accepted = once(server, "connection") as Promise<[Socket]>;
    const ours = connect((server.address() as AddressInfo).port, "127.0.0.1");
    await once(ours, "connect");
    const [theirs] = await accepted;
    return { ours, theirs };
  }

  it("has its bytes in the order in which they were given, past the stream and through it, when the system is full too", async (t) => {
    const { ours, theirs } = await pair();
    t.after(() => ours.destroy());
    let given = "";
    const next = (size: number): string => {
      const text = `${given.length} `.padEnd(size, "x");
      given += text;
      return text;
    };
    let isFull = false;
    let waits = false;
    const taken = Promise.withResolvers<void>();
    while (!waits) {
      assert.equal(takesDirectly(ours), true);
      waits = true;
      ours._write(Buffer.from(next(100_000)), "buffer" as BufferEncoding, (error) => {
        assert.equal(error ?? null, null);
        waits = false;
        // At once, until the system is full.
        if (isFull) taken.resolve();
      });
      isFull = waits;
    }
    ours.write(next(1000));
    assert.equal(takesDirectly(ours), false, "what is in the stream's queue goes first");
    ours.end(next(1000));
    let read = "";
    theirs.setEncoding("latin1").on("data", (text: string) => {
      read += text;
    });
    theirs.resume();
    await taken.promise;
    await once(theirs, "end");
    assert.equal(read.length, given.length);
    assert.ok(read === given);
    assert.equal(takesDirectly(ours), false, "it has ended");
  });

  it("is no other stream, and none that is corked or gone", async () => {
    const { ours } = await pair();
    assert.equal(takesDirectly(ours), true);
    ours.cork();
    assert.equal(takesDirectly(ours), false);
    ours.uncork();
    assert.equal(takesDirectly(ours), true);
    ours.destroy();
    assert.equal(takesDirectly(ours), false);
    assert.equal(takesDirectly(new Duplex() as never), false);
  });
});
