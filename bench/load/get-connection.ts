/**
 * One kept connection that asks with GET, one request at a time, and reads answers that say their length. Reads into memory
 * that all share and makes little besides, so that it costs less than what it measures.
 */
import { createConnection, type Socket } from "node:net";

const readBytes = 64 * 1024;
/** Shared by all: a read is looked at before the next one begins. */
const readBuffer = Buffer.allocUnsafe(readBytes);
const lengthForm = /\r\ncontent-length: *(\d+)/i;

export interface GetHandler {
  /** The answer has come whole; the next request may leave. */
  onAnswer(connection: GetConnection, status: number): void;
  /** It was not closed by `close`. */
  onLost(connection: GetConnection, why: string): void;
}

export class GetConnection {
  readonly #handler: GetHandler;
  readonly #socket: Socket;
  readonly #request: string;
  #head = "";
  /** Of the body under way; -1 while a head is read. */
  #left = -1;
  #status = 0;
  #asking = false;
  #closed = false;
  /** For whoever asks: when the request under way was due. */
  since = 0;

  private constructor(port: number, target: string, handler: GetHandler) {
    this.#handler = handler;
    this.#request = `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;
    this.#socket = createConnection({
      host: "127.0.0.1",
      port,
      noDelay: true,
      onread: { buffer: readBuffer, callback: (length) => this.#onRead(length) },
    });
    this.#socket.on("error", (error) => this.#onEnd(error.message));
    this.#socket.once("close", () => this.#onEnd("closed by the server"));
  }

  static open(port: number, target: string, handler: GetHandler): Promise<GetConnection> {
    return new Promise((done, fail) => {
      const connection = new GetConnection(port, target, handler);
      connection.#socket.once("error", fail);
      connection.#socket.once("connect", () => {
        connection.#socket.off("error", fail);
        done(connection);
      });
    });
  }

  get isOpen(): boolean {
    return !this.#closed;
  }

  ask(): void {
    this.#asking = true;
    this.#socket.write(this.#request, "latin1");
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #onRead(length: number): boolean {
    let at = 0;
    if (this.#left < 0) {
      const known = this.#head.length;
      this.#head += readBuffer.toString("latin1", 0, length);
      const end = this.#head.indexOf("\r\n\r\n");
      if (end < 0) return true;
      const announced = lengthForm.exec(this.#head);
      if (announced === null || announced.index > end) return this.#fail("an answer without a length");
      this.#status = Number(this.#head.slice(9, 12));
      this.#left = Number(announced[1]);
      this.#head = "";
      at = end + 4 - known;
    }
    this.#left -= length - at;
    if (this.#left < 0) return this.#fail("more bytes than the answer has");
    if (this.#left > 0) return true;
    if (!this.#asking) return this.#fail("an answer to nothing");
    this.#left = -1;
    this.#asking = false;
    this.#handler.onAnswer(this, this.#status);
    return true;
  }

  #fail(why: string): false {
    this.#socket.destroy();
    this.#onEnd(why);
    return false;
  }

  #onEnd(why: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handler.onLost(this, why);
  }
}

const openBatch = 50;

/** So many connections, opened a few at a time: below any server's backlog. */
export async function openConnections(
  port: number,
  count: number,
  target: (index: number) => string,
  handler: GetHandler,
): Promise<GetConnection[]> {
  const connections: GetConnection[] = [];
  while (connections.length < count) {
    const batch = Array.from({ length: Math.min(openBatch, count - connections.length) }, (_, at) =>
      GetConnection.open(port, target(connections.length + at), handler),
    );
    connections.push(...(await Promise.all(batch)));
  }
  return connections;
}
