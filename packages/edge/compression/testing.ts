/**
 * For this room's tests: an exchange that records, ticks that come when the test says so, and compressors that the test
 * completes or breaks. Never imported by running code.
 */
import { EventEmitter } from "node:events";
import type { ByteStream, Exchange, ExchangeEnd, ExchangeHandler, FieldList, RequestHead } from "@tideway/base";
import { FakeClock } from "@tideway/base/testing";
import type { Codings, CompressorStream } from "./encoder.ts";

/** Ends one tick at a time: what is deferred meanwhile waits for the next. */
export class TickClock extends FakeClock {
  #deferred: (() => void)[] = [];

  override defer(run: () => void): void {
    this.#deferred.push(run);
  }

  tick(times = 1): void {
    for (let i = 0; i < times; i++) for (const run of this.#deferred.splice(0)) run();
  }

  get isDue(): boolean {
    return this.#deferred.length > 0;
  }
}

export class FakeExchange extends EventEmitter implements Exchange {
  readonly id = "req-1";
  readonly client = { address: "192.0.2.7", port: 4000, localPort: 80, secure: false };
  readonly head: RequestHead;
  service = "";
  instance = "";
  handler: ExchangeHandler | null = null;
  status = 0;
  fields: FieldList = [];
  bodyLength = -2;
  chunks: Uint8Array[] = [];
  trailers: FieldList | undefined;
  /** "", "end" or "abort". */
  over = "";
  /** What `write` answers. */
  ready = true;
  flushed = true;
  paused = false;

  constructor(fields: FieldList = ["accept-encoding", "gzip"], method = "GET") {
    super();
    this.head = {
      method,
      path: "/",
      query: "",
      host: "a.test",
      authority: "a.test",
      version: 11,
      fields,
      bodyLength: 0,
      upgrade: "",
    };
  }

  get body(): Buffer {
    return Buffer.concat(this.chunks);
  }

  field(name: string): string | undefined {
    for (let i = 0; i < this.fields.length; i += 2) if (this.fields[i] === name) return this.fields[i + 1];
    return undefined;
  }

  accept(handler: ExchangeHandler): void {
    this.handler = handler;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  inform(): void {}
  respond(status: number, fields: FieldList, bodyLength: number): void {
    this.status = status;
    this.fields = fields;
    this.bodyLength = bodyLength;
  }
  write(chunk: Uint8Array): boolean {
    this.chunks.push(Buffer.from(chunk));
    this.emit("wrote");
    return this.ready;
  }
  end(trailers?: FieldList): void {
    this.trailers = trailers;
    this.over = "end";
    this.emit("over");
  }
  abort(): void {
    this.over = "abort";
    this.emit("over");
  }
  upgrade(): { stream: ByteStream; head: Uint8Array } {
    throw new Error("no upgrade");
  }
}

/** A target's handler that counts what it is told. */
export class Told implements ExchangeHandler {
  drains = 0;
  closes: ExchangeEnd[] = [];
  onDrained: () => void = () => {};
  onBody(): void {}
  onBodyEnd(): void {}
  onDrain(): void {
    this.drains++;
    this.onDrained();
  }
  onClose(why: ExchangeEnd): void {
    this.closes.push(why);
  }
}

/** A compressor that changes nothing, and is done with a burst when the test says so. */
export class SlowStream extends EventEmitter implements CompressorStream {
  readonly bursts: Uint8Array[] = [];
  paused = false;
  ended = false;
  destroyed = false;
  #done: ((error?: Error | null) => void) | null = null;

  write(chunk: Uint8Array, done: (error?: Error | null) => void): boolean {
    this.bursts.push(chunk);
    this.#done = done;
    return true;
  }

  /** The burst is through. */
  complete(): void {
    const done = this.#done;
    this.#done = null;
    this.emit("data", Buffer.from(this.bursts.at(-1)!));
    done?.();
  }

  end(): void {
    this.ended = true;
  }
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit("close");
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
}

export function slowCodings(): Codings & { readonly streams: SlowStream[] } {
  const streams: SlowStream[] = [];
  return {
    streams,
    open() {
      const stream = new SlowStream();
      streams.push(stream);
      return stream;
    },
    whole: (_, body) => Buffer.from(body.subarray(1)),
  };
}
