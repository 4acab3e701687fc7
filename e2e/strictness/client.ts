/** A client of raw bytes: says exactly what it is told, in the pieces that it is told, and reads answers one by one. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

export interface Answer {
  readonly status: number;
  /** Its head, with names in lower case. */
  readonly head: string;
  readonly body: string;
}

export class Line {
  readonly socket: Socket;
  #heard = "";
  /** The server closed its side, or the connection broke. */
  #ended = false;
  isReset = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      this.#heard += text;
      this.#wake();
    });
    socket.on("end", () => this.#end());
    // What is written behind a refusal may meet a connection that is closed already.
    socket.on("error", ({ code }: NodeJS.ErrnoException) => {
      this.isReset = code === "ECONNRESET";
    });
    socket.on("close", () => this.#end());
  }

  static async open(port: number): Promise<Line> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    await once(socket, "connect");
    return new Line(socket);
  }

  /** In pieces, each of which the server reads before the next is sent: both ends live in this process. */
  async say(pieces: readonly Buffer[]): Promise<void> {
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) await tick();
      if (!this.socket.writable) return;
      this.socket.write(piece);
    }
  }

  /** The next answer, whole; null when the connection ends without one. Interim answers are skipped. */
  async answer(headOnly = false): Promise<Answer | null> {
    for (;;) {
      const end = this.#heard.indexOf("\r\n\r\n");
      if (end !== -1) {
        const head = this.#heard.slice(0, end + 2).replace(/^[\w-]+:/gm, (name) => name.toLowerCase());
        const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
        const bodiless = headOnly || status < 200 || status === 204 || status === 304;
        const rest = this.#heard.slice(end + 4);
        const found = bodiless ? { body: "", length: 0 } : readBody(head, rest, this.#ended && !this.isReset);
        if (found !== null) {
          this.#heard = rest.slice(found.length);
          if (status >= 200) return { status, head, body: found.body };
          continue;
        }
      }
      if (this.#ended) return null;
      await this.#more();
    }
  }

  /** Waits until the server has closed its side; gives what it said besides. */
  async end(): Promise<string> {
    while (!this.#ended) await this.#more();
    return this.#heard;
  }

  get unread(): string {
    return this.#heard;
  }

  #end(): void {
    this.#ended = true;
    this.#wake();
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** A whole body and how many bytes it took; null when it is not whole. `over`: the connection ended in order. */
function readBody(head: string, rest: string, over: boolean): { body: string; length: number } | null {
  const length = /^content-length: (\d+)\r$/m.exec(head);
  if (length !== null) {
    const bytes = Number(length[1]);
    return rest.length < bytes ? null : { body: rest.slice(0, bytes), length: bytes };
  }
  if (!/^transfer-encoding: chunked\r$/m.test(head)) return over ? { body: rest, length: rest.length } : null;
  let body = "";
  for (let at = 0; ; ) {
    const line = /^([0-9a-f]+)\r\n/.exec(rest.slice(at, at + 20));
    if (line === null) return null;
    const size = Number.parseInt(line[1]!, 16);
    at += line[0].length;
    if (size === 0) {
      const end = rest.slice(at).startsWith("\r\n") ? at + 2 : rest.indexOf("\r\n\r\n", at) + 4;
      return end < at ? null : { body, length: end };
    }
    if (rest.slice(at + size, at + size + 2) !== "\r\n") return null;
    body += rest.slice(at, at + size);
    at += size + 2;
  }
}

/** Long enough for what was written to be read at the other end: a pass of the event loop over its sockets. */
export function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
