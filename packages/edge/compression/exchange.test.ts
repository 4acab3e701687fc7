/** When bytes leave, who waits for whom, and what becomes of it when it breaks; with ticks that come one at a time. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ExchangeEnd, silentLogger } from "@tideway/base";
import { type CompressionOptions, createCompression } from "./index.ts";
import { FakeExchange, slowCodings, TickClock, Told } from "./testing.ts";

const text = ["content-type", "text/plain"];

function rig(options: Partial<CompressionOptions> = {}) {
  const clock = new TickClock();
  const codings = slowCodings();
  const compression = createCompression({ clock, logger: silentLogger, codings, ...options });
  const inner = new FakeExchange();
  const told = new Told();
  const exchange = compression.wrap(inner);
  exchange.accept(told);
  return { clock, streams: codings.streams, compression, inner, told, exchange };
}

/** A rig whose answer has been begun, its head sent. */
function streaming(length = -1, options: Partial<CompressionOptions> = {}) {
  const made = rig(options);
  made.exchange.respond(200, text, length);
  made.clock.tick();
  return { ...made, stream: made.streams[0]! };
}

const sizes = (bursts: readonly Uint8Array[]) => bursts.map((burst) => burst.length);

describe("a burst", () => {
  it("leaves once a tick brings nothing more: at most the next but one after it was written", () => {
    const { clock, exchange, stream } = streaming();
    exchange.write(Buffer.from("event"));
    clock.tick();
    clock.tick();
    assert.deepEqual(stream.bursts.map(String), ["event"]);
    assert.equal(clock.isDue, false, "and then nothing is waited for");
  });

  it("is what the source writes within a tick, and in the ticks that follow at once", () => {
    const { clock, exchange, stream } = streaming();
    exchange.write(Buffer.from("a"));
    exchange.write(Buffer.from("b"));
    clock.tick();
    exchange.write(Buffer.from("c"));
    clock.tick();
    assert.equal(stream.bursts.length, 0);
    clock.tick();
    assert.deepEqual(stream.bursts.map(String), ["abc"]);
  });

  it("of a source that never pauses leaves after eight ticks", () => {
    const { clock, exchange, stream } = streaming();
    for (let i = 0; i < 24; i++) {
      exchange.write(Buffer.alloc(1000));
      clock.tick();
      if (stream.bursts.length > 0) stream.complete();
    }
    assert.deepEqual(sizes(stream.bursts), [8000, 8000, 8000]);
  });

  it("of 32 KiB does not wait for the end of the tick", () => {
    const { exchange, stream } = streaming();
    exchange.write(Buffer.alloc(20_000));
    assert.equal(stream.bursts.length, 0);
    exchange.write(Buffer.alloc(20_000));
    assert.deepEqual(sizes(stream.bursts), [40_000]);
  });

  it("gathers while the compressor is busy with the one before", () => {
    const { clock, exchange, stream } = streaming();
    exchange.write(Buffer.alloc(40_000));
    for (let i = 0; i < 20; i++) exchange.write(Buffer.alloc(1000));
    clock.tick(20);
    assert.deepEqual(sizes(stream.bursts), [40_000]);
    stream.complete();
    clock.tick(2);
    assert.deepEqual(sizes(stream.bursts), [40_000, 20_000]);
  });
});

describe("the head", () => {
  it("waits for the end of its tick, and not for a body", () => {
    const { clock, exchange, inner } = rig();
    exchange.respond(200, text, -1);
    assert.equal(inner.status, 0);
    clock.tick();
    assert.equal(inner.status, 200);
    assert.equal(inner.field("content-encoding"), "gzip");
    assert.equal(inner.bodyLength, -1);
  });

  it("goes at once before a body that is too long for one go", () => {
    const { exchange, inner } = rig();
    exchange.respond(200, text, 9000);
    exchange.write(Buffer.alloc(9000));
    assert.equal(inner.status, 200);
  });

  it("has the length of a body that was whole within the tick, and no compressor is opened", () => {
    const { exchange, inner, streams, compression } = rig();
    exchange.respond(200, [...text, "etag", '"x"'], 2000);
    exchange.write(Buffer.alloc(1500));
    exchange.write(Buffer.alloc(500));
    exchange.end();
    assert.equal(inner.bodyLength, 1999);
    assert.equal(inner.body.length, 1999);
    assert.equal(inner.field("etag"), 'W/"x"');
    assert.equal(inner.over, "end");
    assert.equal(streams.length, 0);
    const { open, whole, bytesIn, bytesOut } = compression.counters;
    assert.deepEqual({ open, whole, bytesIn, bytesOut }, { open: 0, whole: 1, bytesIn: 2000, bytesOut: 1999 });
  });

  it("keeps trailers of such a body, and goes without a length then", () => {
    const { exchange, inner } = rig();
    exchange.respond(200, text, -1);
    exchange.write(Buffer.from("abc"));
    exchange.end(["x-sum", "1"]);
    assert.equal(inner.bodyLength, -1);
    assert.deepEqual(inner.trailers, ["x-sum", "1"]);
  });

  it("of a body that does not shrink says no coding", () => {
    const { exchange, inner } = rig({ codings: { ...slowCodings(), whole: (_, body) => Buffer.from(body) } });
    exchange.respond(200, [...text, "etag", '"x"'], 2000);
    exchange.write(Buffer.alloc(2000));
    exchange.end();
    assert.equal(inner.field("content-encoding"), undefined);
    assert.equal(inner.field("etag"), '"x"');
    assert.equal(inner.field("vary"), "accept-encoding");
    assert.equal(inner.bodyLength, 2000);
    assert.equal(inner.body.length, 2000);
  });

  it("of HEAD says what GET's would", () => {
    const { compression } = rig();
    const inner = new FakeExchange(["accept-encoding", "br"], "HEAD");
    const exchange = compression.wrap(inner);
    exchange.accept(new Told());
    exchange.respond(200, [...text, "etag", '"x"', "accept-ranges", "bytes"], 5000);
    exchange.end();
    assert.equal(inner.bodyLength, -1);
    assert.deepEqual(inner.fields, [
      ...["content-encoding", "br", ...text, "etag", 'W/"x"', "vary", "accept-encoding"],
    ]);
    assert.equal(inner.over, "end");
  });

  it("of an answer as it is says that it varies when it might have been another, and else nothing", () => {
    const { compression } = rig();
    for (const [fields, vary] of [
      [text, "accept-encoding"],
      [["content-type", "image/png"], undefined],
    ] as const) {
      const inner = new FakeExchange([]);
      const exchange = compression.wrap(inner);
      exchange.accept(new Told());
      exchange.respond(200, [...fields], 5000);
      assert.equal(inner.field("vary"), vary);
      assert.equal(inner.bodyLength, 5000);
      assert.equal(exchange.write(Buffer.alloc(5000)), true);
      exchange.end(["x", "y"]);
      assert.equal(inner.over, "end");
      assert.deepEqual(inner.trailers, ["x", "y"]);
    }
  });

  it("of a 304 confirms the weak tag", () => {
    const { compression } = rig();
    const inner = new FakeExchange(["accept-encoding", "gzip", "if-none-match", 'W/"x"']);
    compression.wrap(inner).respond(304, ["etag", '"x"'], -1);
    assert.equal(inner.field("etag"), 'W/"x"');
  });
});

describe("back-pressure", () => {
  it("a source is told to wait at 64 KiB that wait for the compressor, and to go on when they are taken", () => {
    const { exchange, stream, told } = streaming();
    assert.equal(exchange.write(Buffer.alloc(40_000)), true);
    assert.equal(exchange.write(Buffer.alloc(40_000)), true);
    assert.equal(exchange.write(Buffer.alloc(40_000)), false);
    assert.equal(told.drains, 0);
    stream.complete();
    assert.equal(told.drains, 1);
    assert.deepEqual(sizes(stream.bursts), [40_000, 80_000]);
  });

  it("a client that does not read holds up the compressor, and that the source", () => {
    const { exchange, stream, told, inner } = streaming();
    inner.ready = false;
    exchange.write(Buffer.alloc(40_000));
    stream.complete();
    assert.equal(stream.paused, true);
    assert.equal(exchange.write(Buffer.alloc(40_000)), false);
    assert.equal(stream.bursts.length, 1);
    inner.ready = true;
    inner.handler!.onDrain();
    assert.equal(stream.paused, false);
    assert.equal(told.drains, 1);
    assert.equal(stream.bursts.length, 2);
  });

  it("bytes are held until the compressor has taken them: their memory is not free before", () => {
    const { exchange, stream, clock } = streaming();
    assert.equal(exchange.flushed, true);
    exchange.write(Buffer.from("abc"));
    assert.equal(exchange.flushed, false);
    clock.tick(2);
    assert.equal(stream.bursts.length, 1);
    assert.equal(exchange.flushed, false);
    stream.complete();
    assert.equal(exchange.flushed, true);
  });

  it("reading of the request is the inner exchange's", () => {
    const { exchange, inner } = rig();
    exchange.pause();
    assert.equal(inner.paused, true);
    exchange.resume();
    assert.equal(inner.paused, false);
  });
});

describe("the end", () => {
  it("waits for the burst under way and the compressor's last bytes", () => {
    const { exchange, stream, inner } = streaming();
    exchange.write(Buffer.alloc(40_000));
    exchange.write(Buffer.from("rest"));
    exchange.end(["x", "1"]);
    assert.equal(stream.ended, false);
    stream.complete();
    assert.equal(String(stream.bursts[1]), "rest");
    assert.equal(stream.ended, true);
    assert.equal(inner.over, "");
    stream.complete();
    stream.emit("end");
    stream.destroy();
    assert.equal(inner.over, "end");
    assert.deepEqual(inner.trailers, ["x", "1"]);
  });

  it("also when the client takes nothing for a while", () => {
    const { exchange, stream, inner, told } = streaming();
    inner.ready = false;
    exchange.write(Buffer.alloc(40_000));
    stream.complete();
    exchange.end();
    assert.equal(stream.ended, false);
    inner.handler!.onDrain();
    assert.equal(stream.ended, true);
    assert.equal(told.drains, 0, "the target is done: it is told nothing more");
    stream.emit("end");
    assert.equal(inner.over, "end");
  });

  it("a client that goes ends the compressor, and the target is told once", () => {
    const { exchange, stream, inner, told, compression } = streaming();
    exchange.write(Buffer.alloc(40_000));
    inner.handler!.onClose(ExchangeEnd.gone);
    assert.equal(stream.destroyed, true);
    assert.equal(compression.counters.open, 0);
    assert.deepEqual(told.closes, [ExchangeEnd.gone]);
    stream.complete();
    exchange.write(Buffer.from("more"));
    exchange.end();
    exchange.abort();
    assert.deepEqual(told.closes, [ExchangeEnd.gone]);
    assert.equal(inner.chunks.length, 0);
  });

  it("a client that goes after the target was done is not the target's matter", () => {
    const { exchange, stream, inner, told } = streaming();
    exchange.write(Buffer.alloc(40_000));
    exchange.end();
    inner.handler!.onClose(ExchangeEnd.gone);
    assert.equal(stream.destroyed, true);
    assert.deepEqual(told.closes, []);
  });

  it("a client that goes while the head is held leaves nothing behind", () => {
    const { exchange, inner, told, clock, streams } = rig();
    exchange.respond(200, text, -1);
    inner.handler!.onClose(ExchangeEnd.gone);
    clock.tick(3);
    exchange.write(Buffer.from("x"));
    exchange.end();
    assert.equal(streams.length, 0);
    assert.equal(inner.status, 0);
    assert.deepEqual(told.closes, [ExchangeEnd.gone]);
  });

  it("a target that aborts aborts the exchange and the compressor", () => {
    const { exchange, stream, inner } = streaming();
    exchange.abort();
    assert.equal(stream.destroyed, true);
    assert.equal(inner.over, "abort");
  });

  it("a compressor that fails breaks the client's connection, and the target is told", () => {
    const { exchange, stream, inner, told, compression } = streaming();
    exchange.write(Buffer.alloc(40_000));
    stream.emit("error", new Error("out of memory"));
    assert.equal(inner.over, "abort");
    assert.deepEqual(told.closes, [ExchangeEnd.gone]);
    assert.equal(compression.counters.open, 0);
  });

  it("one that fails in one go lets the body pass as it is", () => {
    const whole = (): never => {
      throw new Error("out of memory");
    };
    const { exchange, inner } = rig({ codings: { ...slowCodings(), whole } });
    exchange.respond(200, text, 2000);
    exchange.write(Buffer.alloc(2000));
    exchange.end();
    assert.equal(inner.field("content-encoding"), undefined);
    assert.equal(inner.body.length, 2000);
  });

  for (const [what, send] of [
    ["shorter", [40_000]],
    ["longer", [40_000, 20_000]],
  ] as const) {
    it(`a body ${what} than announced breaks the connection: it never looks whole`, () => {
      const { exchange, inner, told } = streaming(50_000);
      for (const size of send) exchange.write(Buffer.alloc(size));
      if (what === "shorter") exchange.end();
      assert.equal(inner.over, "abort");
      assert.deepEqual(told.closes, [ExchangeEnd.gone]);
    });
  }

  it("a body shorter than announced within one tick, too", () => {
    const { exchange, inner } = rig();
    exchange.respond(200, text, 2000);
    exchange.write(Buffer.alloc(1999));
    exchange.end();
    assert.equal(inner.over, "abort");
    assert.equal(inner.status, 0);
  });
});

describe("more answers than compressors", () => {
  it("go as they are, with their length, until one is free", () => {
    const { compression, stream, clock } = streaming(-1, { compressorsMax: 1 });
    const answer = (length: number) => {
      const inner = new FakeExchange();
      const exchange = compression.wrap(inner);
      exchange.accept(new Told());
      exchange.respond(200, text, length);
      exchange.write(Buffer.alloc(5000));
      exchange.write(Buffer.alloc(5000));
      clock.tick();
      return { inner, exchange };
    };
    const second = answer(10_000);
    assert.equal(second.inner.field("content-encoding"), undefined);
    assert.equal(second.inner.field("vary"), "accept-encoding");
    assert.equal(second.inner.bodyLength, 10_000);
    second.exchange.end();
    assert.equal(second.inner.body.length, 10_000);
    assert.equal(second.inner.over, "end");
    const { open, streamed, refused } = compression.counters;
    assert.deepEqual({ open, streamed, refused }, { open: 1, streamed: 1, refused: 1 });
    stream.destroy();
    assert.equal(answer(-1).inner.field("content-encoding"), "gzip");
  });

  it("keep the source's pace then, too", () => {
    const { exchange, inner, told } = rig({ compressorsMax: 0 });
    inner.ready = false;
    exchange.respond(200, text, -1);
    assert.equal(exchange.write(Buffer.alloc(9000)), false);
    inner.handler!.onDrain();
    assert.equal(told.drains, 1);
    inner.flushed = false;
    assert.equal(exchange.flushed, false);
  });
});

it("an upgrade is nobody's to compress", () => {
  const { compression } = rig();
  const inner = new FakeExchange();
  (inner.head as { upgrade: string }).upgrade = "websocket";
  assert.equal(compression.wrap(inner), inner);
});

it("what a target writes about itself is the inner exchange's", () => {
  const { exchange, inner } = rig();
  Object.assign(exchange, { service: "web", instance: "web-1", trace: "abc", reason: "timeout" });
  for (const { service, instance, trace, reason } of [inner, exchange] as (typeof exchange)[])
    assert.deepEqual([service, instance, trace, reason], ["web", "web-1", "abc", "timeout"]);
  assert.deepEqual([exchange.id, exchange.head, exchange.client], [inner.id, inner.head, inner.client]);
});
