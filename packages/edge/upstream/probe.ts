/**
 * Owns one question to an instance: does it answer? On a connection of its own, so that neither a full pool nor a stale
 * connection colours the answer. With a path: a GET whose status is 200–399. Without: that the connection comes about.
 * Refuses to judge what an answer means for the instance's health.
 */
import { connect, type Socket } from "node:net";
import type { Clock, Timer } from "@tideway/base";
import {
  encodeRequestHead,
  Framing,
  type HeadLimits,
  type HttpFault,
  ResponseDecoder,
  type ResponseHead,
} from "@tideway/wire/http1";

export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
  /** Empty: a connection is answer enough. */
  readonly path: string;
  readonly timeoutMs: number;
}

/** `why` is empty when the probe passed; else for the log. */
export type ProbeDone = (passed: boolean, why: string) => void;

export class Probe {
  readonly #target: ProbeTarget;
  readonly #decoder: ResponseDecoder;
  readonly #timer: Timer;
  readonly #socket: Socket;
  #done: ProbeDone | null;

  constructor(target: ProbeTarget, clock: Clock, limits: HeadLimits, done: ProbeDone) {
    this.#target = target;
    this.#done = done;
    this.#decoder = new ResponseDecoder(limits, this);
    this.#timer = clock.after(target.timeoutMs, () => this.#finish(false, `no answer in ${target.timeoutMs} ms`));
    const socket = connect({ host: target.host, port: target.port, noDelay: true });
    this.#socket = socket;
    socket.on("connect", () => this.#ask());
    socket.on("data", (chunk: Buffer) => this.#decoder.decode(chunk, 0));
    socket.on("end", () => this.#finish(false, "closed without an answer"));
    socket.on("error", (error: NodeJS.ErrnoException) => this.#finish(false, error.code ?? error.message));
    socket.on("close", () => this.#finish(false, "closed without an answer"));
  }

  #ask(): void {
    const { path, host, port } = this.#target;
    if (path === "") {
      this.#finish(true, "");
      return;
    }
    const authority = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    const fields = ["host", authority, "user-agent", "tideway-probe", "accept", "*/*", "connection", "close"];
    this.#decoder.begin("GET");
    this.#socket.write(encodeRequestHead("GET", path, fields, Framing.none), "latin1");
  }

  onInterim(): void {}

  /** The status says all: the body is not waited for. */
  onHead(head: ResponseHead): void {
    this.#decoder.halt();
    if (head.status >= 200 && head.status < 400) this.#finish(true, "");
    else this.#finish(false, `status ${head.status}`);
  }

  onBody(): void {}
  onEnd(): void {}

  onFault(fault: HttpFault): void {
    this.#finish(false, `${fault.code}: ${fault.message}`);
  }

  #finish(passed: boolean, why: string): void {
    const done = this.#done;
    if (done === null) return;
    this.cancel();
    done(passed, why);
  }

  /** Ends it without an answer. */
  cancel(): void {
    this.#done = null;
    this.#timer.cancel();
    this.#socket.destroy();
  }
}
