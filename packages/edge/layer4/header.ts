/**
 * Owns the reading of a PROXY header off a connection that was just accepted: in pieces of any size, within a deadline,
 * and not one byte behind it. Refuses to judge who may send one.
 */
import type { Socket } from "node:net";
import type { Clock, Timer } from "@tideway/base";
import { decode, type ProxyHeader } from "@tideway/wire/proxyprotocol";

/**
 * `header` is null when none came, and `fault` says why (empty: the connection ended before its first byte). `rest` had
 * arrived behind it. The socket is not read any more.
 */
export type HeaderDone = (header: ProxyHeader | null, rest: Buffer, fault: string) => void;

const nothing: Buffer = Buffer.alloc(0);

export class HeaderReader {
  readonly #socket: Socket;
  readonly #done: HeaderDone;
  readonly #timer: Timer;
  #bytes = nothing;

  constructor(socket: Socket, clock: Clock, deadlineMs: number, done: HeaderDone) {
    this.#socket = socket;
    this.#done = done;
    this.#timer = clock.after(deadlineMs, () => this.#finish(null, nothing, "PROXY_TIMEOUT"));
    socket.on("data", this.#read);
    socket.on("end", this.#ended);
    socket.resume();
  }

  /** Nothing is told after this. */
  cancel(): void {
    this.#timer.cancel();
    this.#socket.off("data", this.#read);
    this.#socket.off("end", this.#ended);
    this.#socket.pause();
  }

  readonly #read = (chunk: Buffer): void => {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    const step = decode(this.#bytes);
    if (step.state === "whole") this.#finish(step.value, Buffer.from(this.#bytes.subarray(step.next)), "");
    else if (step.state === "fault") this.#finish(null, nothing, step.fault.code);
  };

  readonly #ended = (): void => this.#finish(null, nothing, this.#bytes.length === 0 ? "" : "PROXY_CUT");

  #finish(header: ProxyHeader | null, rest: Buffer, fault: string): void {
    this.cancel();
    this.#done(header, rest, fault);
  }
}
