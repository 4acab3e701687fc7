/**
 * For tests of the rooms that speak to upstreams: a server of raw bytes that misbehaves as told, and a logger whose lines
 * can be waited for. Never imported by running code.
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Logger } from "@tideway/base";
import { FakeClock } from "@tideway/base/testing";
import type { Asker } from "./contract.ts";

/** Called with each request's head (as text, CRLFCRLF included) and how many came before it, on all connections. */
export type RawAnswer = (socket: Socket, head: string, index: number) => void;

export class RawServer {
  readonly #server: Server;
  readonly sockets = new Set<Socket>();
  readonly heads: string[] = [];
  port = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(answer: RawAnswer, port = 0): Promise<RawServer> {
    const server = createServer({ allowHalfOpen: true });
    const self = new RawServer(server);
    server.on("connection", (socket) => self.#serve(socket, answer));
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    self.port = (server.address() as AddressInfo).port;
    return self;
  }

  #serve(socket: Socket, answer: RawAnswer): void {
    this.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.sockets.delete(socket));
    socket.on("end", () => socket.end());
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
        const head = text.slice(0, end + 4);
        text = text.slice(end + 4);
        if (!/^[A-Z]+ \S+ HTTP\/1\.1\r\n/.test(head)) return;
        this.heads.push(head);
        answer(socket, head, this.heads.length - 1);
      }
    });
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, "close");
  }
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

/** Keeps every line; `seen` resolves with the first one that fits, past or future. */
export class WatchedLog implements Logger {
  readonly lines: LogLine[] = [];
  readonly #waiting: { fits: (line: LogLine) => boolean; resolve: (line: LogLine) => void }[] = [];

  debug = (fields: object, message: string) => this.#add("debug", fields, message);
  info = (fields: object, message: string) => this.#add("info", fields, message);
  warn = (fields: object, message: string) => this.#add("warn", fields, message);
  error = (fields: object, message: string) => this.#add("error", fields, message);

  #add(level: string, fields: object, message: string): void {
    const line = { level, message, fields: { ...fields } };
    this.lines.push(line);
    for (const waiter of [...this.#waiting]) {
      if (!waiter.fits(line)) continue;
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      waiter.resolve(line);
    }
  }

  seen(fits: (line: LogLine) => boolean): Promise<LogLine> {
    const line = this.lines.find(fits);
    if (line !== undefined) return Promise.resolve(line);
    return new Promise((resolve) => this.#waiting.push({ fits, resolve }));
  }

  /** The instance has entered the state (again, `times` in all). */
  async state(instance: string, state: string, times = 1): Promise<void> {
    let left = times;
    await this.seen((line) => line.fields["instance"] === instance && line.fields["state"] === state && --left <= 0);
  }
}

/** A request as far as the choice of an instance looks at it. */
export function asker(fields: readonly string[] = [], address = "192.0.2.7", secure = false): Asker {
  const head = {
    method: "GET",
    path: "/",
    query: "",
    host: "a.test",
    authority: "a.test",
    version: 11,
    fields: [...fields],
    bodyLength: 0,
    upgrade: "",
  };
  return { head, client: { address, port: 4000, localPort: 80, secure } };
}

/** Timers wait to be moved; the end of a tick is the real one, for the sockets are real. */
export class SocketClock extends FakeClock {
  override defer(run: () => void): void {
    setImmediate(run);
  }
}
