/**
 * The writing side of one connection. Text and small chunks gather and leave in one write at the end of the tick, or
 * sooner when the caller knows that no more will come; large chunks are never copied.
 */
import type { Socket } from "node:net";
import { PENDING_BYTES_MAX } from "./contract.ts";
import type { Tick } from "./tick.ts";

export class Output {
  readonly #socket: Socket;
  readonly #tick: Tick;
  #pending = "";
  /** The tick will call `tickEnded`. */
  #due = false;
  #flushed = 0;

  constructor(socket: Socket, tick: Tick) {
    this.#socket = socket;
    this.#tick = tick;
  }

  /** Bytes of text and data so far, framing included; those that wait for the end of the tick too. */
  get bytes(): number {
    return this.#flushed + this.#pending.length;
  }

  /** False while the socket holds more than it should. */
  get ready(): boolean {
    return !this.#socket.writableNeedDrain;
  }

  /** Bytes that left the process, as far as the socket knows. */
  get sent(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength;
  }

  /** Chunks are handed to the socket at once and text is a copy: what the socket has taken may be used again. */
  get flushed(): boolean {
    return this.#socket.writableLength === 0;
  }

  get waiting(): number {
    return this.#socket.writableLength;
  }

  text(text: string): void {
    this.#pending = this.#pending === "" ? text : this.#pending + text;
    if (this.#pending.length > PENDING_BYTES_MAX) this.flush();
    else if (!this.#due) {
      this.#due = true;
      this.#tick.add(this);
    }
  }

  /** Writes `chunk` together with the text before it; `after` follows with what comes next. */
  data(chunk: Uint8Array, after: string): void {
    const socket = this.#socket;
    socket.cork();
    this.flush();
    this.#flushed += chunk.length;
    if (!socket.destroyed) socket.write(chunk);
    socket.uncork();
    if (after !== "") this.text(after);
  }

  flush(): void {
    const text = this.#pending;
    if (text === "") return;
    this.#pending = "";
    this.#flushed += text.length;
    if (!this.#socket.destroyed) this.#socket.write(text, "latin1");
  }

  tickEnded(): void {
    this.#due = false;
    this.flush();
  }
}
