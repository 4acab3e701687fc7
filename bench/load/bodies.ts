/** Large bodies down or up, a few at a time, each over a kept connection of its own. */
import { createConnection, type Socket } from "node:net";
import { BodyReader, writeBody } from "./body.ts";

export interface BodiesTask {
  readonly type: "bodies";
  readonly port: number;
  readonly direction: "down" | "up";
  readonly bytes: number;
  /** Bodies under way at once. */
  readonly connections: number;
  /** Bodies one after the other over each connection. */
  readonly each: number;
  /** Whether bytes are compared and not only counted. */
  readonly compares: boolean;
}

export interface BodiesResult {
  /** Bodies that arrived whole; any other fails the task. */
  readonly bodies: number;
  readonly elapsedMs: number;
}

const readBuffer = Buffer.allocUnsafe(256 * 1024);

class BodyConnection {
  readonly #task: BodiesTask;
  readonly #socket: Socket;
  #head = "";
  #expected = -1;
  #reader: BodyReader;
  #text = "";
  #whole = Promise.withResolvers<void>();

  constructor(task: BodiesTask) {
    this.#task = task;
    this.#reader = new BodyReader(false);
    const callback = (length: number): boolean => {
      this.#feed(readBuffer.subarray(0, length));
      return true;
    };
    this.#socket = createConnection({
      host: "127.0.0.1",
      port: task.port,
      noDelay: true,
      onread: { buffer: readBuffer, callback },
    });
    this.#socket.on("error", (error) => this.#whole.reject(error));
    this.#socket.on("close", () => this.#whole.reject(new Error("closed within a body")));
    this.#whole.promise.catch(() => {});
  }

  async run(): Promise<void> {
    const { direction, bytes, each, compares } = this.#task;
    for (let count = 0; count < each; count++) {
      this.#whole = Promise.withResolvers();
      this.#whole.promise.catch(() => {});
      this.#reader = new BodyReader(compares && direction === "down");
      if (direction === "down") this.#socket.write(`GET /${bytes} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
      else {
        const target = compares ? "/?compare" : "/";
        this.#socket.write(`PUT ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${bytes}\r\n\r\n`);
        writeBody(this.#socket, bytes, () => {});
      }
      await this.#whole.promise;
    }
    this.#socket.destroy();
  }

  #feed(chunk: Buffer): void {
    let body = chunk;
    if (this.#expected < 0) {
      const known = this.#head.length;
      this.#head += chunk.toString("latin1");
      const end = this.#head.indexOf("\r\n\r\n");
      if (end < 0) return;
      if (!this.#head.startsWith("HTTP/1.1 200 ")) {
        this.#whole.reject(new Error(this.#head.slice(0, 40)));
        return;
      }
      this.#expected = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1]);
      this.#head = "";
      this.#text = "";
      body = chunk.subarray(end + 4 - known);
    }
    this.#reader.feed(body);
    if (this.#task.direction === "up") this.#text += body.toString("latin1");
    if (this.#reader.bytes < this.#expected) return;
    this.#expected = -1;
    this.#end();
  }

  #end(): void {
    const { direction, bytes } = this.#task;
    const isRight =
      direction === "up" ? this.#text === `${bytes} right` : this.#reader.isRight && this.#reader.bytes === bytes;
    if (isRight) this.#whole.resolve();
    else this.#whole.reject(new Error(direction === "up" ? `the server got ${this.#text}` : "another body came"));
  }
}

export async function bodies(task: BodiesTask): Promise<BodiesResult> {
  const start = performance.now();
  await Promise.all(Array.from({ length: task.connections }, () => new BodyConnection(task).run()));
  return { bodies: task.connections * task.each, elapsedMs: performance.now() - start };
}
