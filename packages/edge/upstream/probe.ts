/**
 * Owns one question to an instance: does it answer? On a connection of its own, so that neither a full pool nor a stale
 * connection colours the answer. `tcp`: that the connection comes about. `http`: a GET whose status is 200–399. Refuses
 * to judge what an answer means for the instance's health.
 */
import { connect, type Socket } from "node:net";
import { type Clock, limits, type Timer } from "@tideway/base";
import { encodeRequestHead, Framing, type HttpFault, ResponseDecoder, type ResponseHead } from "@tideway/wire/http1";
import type { HealthOptions } from "./prober.ts";

export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
}

/** `why` is empty when the probe passed; else for the log. */
export type ProbeDone = (passed: boolean, why: string) => void;

/** Asks once: `done` is called once, in a later tick, unless the probe is cancelled before. It must have a deadline of its own. */
export type ProbeMaker = (target: ProbeTarget, done: ProbeDone) => { cancel(): void };

/** As the options say: a connection is answer enough without a path. */
export function defaultProbe(options: HealthOptions, clock: Clock): ProbeMaker {
  const { path, timeoutMs } = options;
  if (path === "") return (target, done) => new Probe(target, timeoutMs, clock, done);
  return (target, done) => new HttpProbe(target, path, timeoutMs, clock, done);
}

/** Passes when the connection comes about. */
export class Probe {
  protected readonly target: ProbeTarget;
  protected readonly socket: Socket;
  readonly #timer: Timer;
  #done: ProbeDone | null;

  constructor(target: ProbeTarget, timeoutMs: number, clock: Clock, done: ProbeDone) {
    this.target = target;
    this.#done = done;
    this.#timer = clock.after(timeoutMs, () => this.finish(false, `no answer in ${timeoutMs} ms`));
    const socket = connect({ host: target.host, port: target.port, noDelay: true });
    this.socket = socket;
    socket.on("connect", () => this.onConnected());
    socket.on("end", () => this.finish(false, "closed without an answer"));
    socket.on("error", (error: NodeJS.ErrnoException) => this.finish(false, error.code ?? error.message));
    socket.on("close", () => this.finish(false, "closed without an answer"));
  }

  protected onConnected(): void {
    this.finish(true, "");
  }

  protected finish(passed: boolean, why: string): void {
    const done = this.#done;
    if (done === null) return;
    this.cancel();
    done(passed, why);
  }

  /** Ends it without an answer. */
  cancel(): void {
    this.#done = null;
    this.#timer.cancel();
    this.socket.destroy();
  }
}

/** Passes when a GET is answered with 200–399. */
class HttpProbe extends Probe {
  readonly #path: string;
  readonly #decoder: ResponseDecoder;

  constructor(target: ProbeTarget, path: string, timeoutMs: number, clock: Clock, done: ProbeDone) {
    super(target, timeoutMs, clock, done);
    this.#path = path;
    this.#decoder = new ResponseDecoder(limits, this);
    this.socket.on("data", (chunk: Buffer) => this.#decoder.decode(chunk, 0));
  }

  protected override onConnected(): void {
    const { host, port } = this.target;
    const authority = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    const fields = ["host", authority, "user-agent", "tideway-probe", "accept", "*/*", "connection", "close"];
    this.#decoder.begin("GET");
    this.socket.write(encodeRequestHead("GET", this.#path, fields, Framing.none), "latin1");
  }

  onInterim(): void {}

  /** The status says all: the body is not waited for. */
  onHead(head: ResponseHead): void {
    this.#decoder.halt();
    if (head.status >= 200 && head.status < 400) this.finish(true, "");
    else this.finish(false, `status ${head.status}`);
  }

  onBody(): void {}
  onEnd(): void {}

  onFault(fault: HttpFault): void {
    this.finish(false, `${fault.code}: ${fault.message}`);
  }
}
