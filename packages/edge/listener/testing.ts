/**
 * For tests: a listener on a free port with a clock that moves only when told, and a raw client that says and hears
 * exact bytes. Never imported by running code.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { TestContext } from "node:test";
import {
  type Exchange,
  type ExchangeEnd,
  type ExchangeHandler,
  type FieldList,
  type GuardedExchange,
  limits,
} from "@tideway/base";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import {
  createListener,
  type Listener,
  type ListenerLimits,
  type ListenerOptions,
  type RequestRecord,
} from "./index.ts";

/** Timers wait to be moved; the end of a tick is the real one, for the sockets are real. */
class SocketClock extends FakeClock {
  override defer(run: () => void): void {
    setImmediate(run);
  }
}

export interface LogLine {
  readonly level: string;
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

export interface Rig {
  readonly listener: Listener;
  readonly clock: SocketClock;
  readonly port: number;
  readonly records: RequestRecord[];
  readonly log: LogLine[];
  client(options?: { allowHalfOpen?: boolean }): Promise<Client>;
}

export async function startRig(
  context: TestContext,
  onExchange: (exchange: GuardedExchange) => void,
  own: Partial<ListenerLimits> = {},
  more: Partial<ListenerOptions> = {},
): Promise<Rig> {
  const clock = new SocketClock();
  const records: RequestRecord[] = [];
  const log: LogLine[] = [];
  const write = (level: string) => (fields: object, message: string) =>
    log.push({ level, fields: { ...fields }, message });
  const listener = createListener({
    host: "127.0.0.1",
    port: 0,
    clock,
    random: new SeededRandom(1),
    logger: { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") },
    limits: { ...limits, ...own },
    onExchange,
    onRecord: (record) => records.push(record),
    ...more,
  });
  const { port } = await listener.listen();
  const clients: Client[] = [];
  context.after(async () => {
    for (const client of clients) client.socket.destroy();
    const closing = listener.close({ graceMs: 0 });
    clock.advance(1);
    await closing;
  });
  const client = async (options: { allowHalfOpen?: boolean } = {}): Promise<Client> => {
    const made = new Client(connect({ port, host: "127.0.0.1", ...options }));
    clients.push(made);
    await once(made.socket, "connect");
    return made;
  };
  return { listener, clock, port, records, log, client };
}

export class Client {
  readonly socket: Socket;
  /** All that was heard, as latin1. */
  heard = "";
  /** Pieces as they came. */
  readonly pieces: string[] = [];
  ended = false;
  closed = false;
  error = "";
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.heard += chunk.toString("latin1");
      this.pieces.push(chunk.toString("latin1"));
      this.#wake?.();
    });
    socket.on("end", () => {
      this.ended = true;
      this.#wake?.();
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? error.message;
    });
    socket.on("close", () => {
      this.closed = true;
      this.#wake?.();
    });
  }

  say(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** Waits until what was heard satisfies `enough`; fails when the connection closes before. */
  async hears(enough: string | RegExp | ((heard: string) => boolean)): Promise<string> {
    const matches = (): boolean => {
      if (typeof enough === "string") return this.heard.includes(enough);
      return typeof enough === "function" ? enough(this.heard) : enough.test(this.heard);
    };
    while (!matches()) {
      assert.ok(
        !this.closed,
        `closed before ${String(enough)} was heard; heard ${JSON.stringify(this.heard.slice(0, 500))}`,
      );
      await this.#more();
    }
    return this.heard;
  }

  /** Waits for the server's end of the connection, orderly or not; returns what was heard. */
  async untilEnd(): Promise<string> {
    while (!this.ended && !this.closed) await this.#more();
    return this.heard;
  }

  async untilClosed(): Promise<string> {
    while (!this.closed) await this.#more();
    return this.heard;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** A handler that keeps what it is told. */
export class Recording implements ExchangeHandler {
  body = "";
  bytes = 0;
  ended = false;
  trailers: FieldList = [];
  drains = 0;
  closed: ExchangeEnd | "" = "";
  #watchers: (() => void)[] = [];

  onBody(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    if (this.bytes < 100_000) this.body += Buffer.from(chunk).toString("latin1");
    this.#tell();
  }

  onBodyEnd(trailers: FieldList): void {
    this.ended = true;
    this.trailers = trailers;
    this.#tell();
  }

  onDrain(): void {
    this.drains++;
    this.#tell();
  }

  onClose(why: ExchangeEnd): void {
    this.closed = why;
    this.#tell();
  }

  async until(true_: () => boolean): Promise<void> {
    while (!true_()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  #tell(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const wake of watchers) wake();
  }
}

/** Answers at once with `text`. */
export function answer(exchange: Exchange, text: string, status = 200, fields: FieldList = []): void {
  const bytes = Buffer.from(text, "latin1");
  exchange.respond(status, fields, bytes.length);
  exchange.write(bytes);
  exchange.end();
}

/** The number of the tick does not matter, only that what is due by now has run. */
export function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Waits for something that the client cannot see, looking again after each tick; the test runner's own limit ends it. */
export async function eventually(true_: () => boolean): Promise<void> {
  while (!true_()) await tick();
}

export const get = (path = "/", more = ""): string => `GET ${path} HTTP/1.1\r\nHost: a.test\r\n${more}\r\n`;
export const post = (body: string, more = ""): string =>
  `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`;
