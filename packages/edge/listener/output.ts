/**
 * The writing side of one connection. Text and small chunks gather and leave in one write at the end of the tick: all
 * connections' writes follow one another, so that their readers are woken once and not for each. Large chunks are never copied.
 */
import type { Socket } from "node:net";
import { TextWriter, type TickEnd } from "../sockets/index.ts";
import { PENDING_BYTES_MAX } from "./contract.ts";

export class Output {
  readonly #socket: Socket;
  readonly #writer: TextWriter;
  #bytes = 0;

  constructor(socket: Socket, tickEnd: TickEnd) {
    this.#socket = socket;
    this.#writer = new TextWriter(socket, tickEnd);
  }

  /** Bytes of text and data so far, framing included. */
  get bytes(): number {
    return this.#bytes;
  }

  /** False while the socket holds more than it should. */
  get ready(): boolean {
    return !this.#socket.writableNeedDrain;
  }

  /** Bytes that left the process, as far as the socket knows. */
  get sent(): number {
    return this.#socket.bytesWritten - this.#writer.waiting;
  }

  /** Chunks are handed to the socket at once and text is a copy: what the socket has taken may be used again. */
  get flushed(): boolean {
    return this.#socket.writableLength === 0;
  }

  get waiting(): number {
    return this.#writer.waiting;
  }

  text(text: string): void {
    this.#bytes += text.length;
    this.#writer.gather(text);
    if (this.#writer.gathered > PENDING_BYTES_MAX) this.flush();
  }

  /** Writes `chunk` together with the text before it; `after` follows with what comes next. */
  data(chunk: Uint8Array, after: string): void {
    const socket = this.#socket;
    this.#bytes += chunk.length;
    socket.cork();
    this.flush();
    if (!socket.destroyed) socket.write(chunk);
    socket.uncork();
    if (after !== "") this.text(after);
  }

  flush(): void {
    this.#writer.flush();
  }
}
