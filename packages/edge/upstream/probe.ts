/**
 * Owns one question to an instance: does it answer? On a connection of its own, so that neither a full pool nor a stale
 * connection colours the answer. `tcp`: that the connection comes about. `http`: the status, and what the body contains.
 * Refuses to judge what an answer means for the instance's health.
 */
import { connect, type Socket } from "node:net";
import { type Clock, limits, type Timer } from "@tideway/base";
import { includesStatus } from "@tideway/engine/balancing";
import { encodeRequestHead, Framing, type HttpFault, ResponseDecoder, type ResponseHead } from "@tideway/wire/http1";
import type { ProxyAddresses } from "@tideway/wire/proxyprotocol";
import { isOwnFault } from "./faults.ts";
import { ownProxyHeader, type ProxyVersion } from "./header.ts";
import type { HealthOptions } from "./settings.ts";

export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
}

/** `passed` is null when nothing could be asked, for a reason of our own. `why` is empty when the probe passed; else for the log. */
export type ProbeDone = (passed: boolean | null, why: string) => void;

/** Asks once: `done` is called once, in a later tick, unless the probe is cancelled before. It must have a deadline of its own. */
export type ProbeMaker = (target: ProbeTarget, done: ProbeDone) => { cancel(): void };

/** As the options say: a connection is answer enough without a path. `proxy`: it begins with a header. */
export function defaultProbe(options: HealthOptions, clock: Clock, proxy: ProxyVersion | null): ProbeMaker {
  if (options.path === "") return (target, done) => new Probe(target, options.timeoutMs, clock, proxy, done);
  return (target, done) => new HttpProbe(target, options, clock, proxy, done);
}

/** Passes when the connection comes about. */
export class Probe {
  protected readonly target: ProbeTarget;
  protected readonly socket: Socket;
  readonly #timer: Timer;
  #done: ProbeDone | null;

  constructor(target: ProbeTarget, timeoutMs: number, clock: Clock, proxy: ProxyVersion | null, done: ProbeDone) {
    this.target = target;
    this.#done = done;
    this.#timer = clock.after(timeoutMs, () => this.finish(false, `no answer in ${timeoutMs} ms`));
    const socket = connect({ host: target.host, port: target.port, noDelay: true });
    this.socket = socket;
    socket.on("connect", () => {
      if (proxy !== null) socket.write(ownProxyHeader(proxy, endsOf(socket)));
      this.onConnected();
    });
    socket.on("end", () => this.onClosed());
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.finish(isOwnFault(error.code) ? null : false, error.code ?? error.message);
    });
    socket.on("close", () => this.onClosed());
  }

  protected onConnected(): void {
    this.finish(true, "");
  }

  protected onClosed(): void {
    this.finish(false, "closed without an answer");
  }

  protected finish(passed: boolean | null, why: string): void {
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

function endsOf({ localAddress = "", localPort = 0, remoteAddress = "", remotePort = 0 }: Socket): ProxyAddresses {
  return {
    source: { address: localAddress, port: localPort },
    destination: { address: remoteAddress, port: remotePort },
  };
}

/** So much of a body is looked at. */
const bodyBytesMax = 64 * 1024;

/** Passes when a request is answered with a status, and a body, as they should be. */
class HttpProbe extends Probe {
  readonly #options: HealthOptions;
  readonly #decoder: ResponseDecoder;
  /** What the body must contain, byte by byte; the end of what came of it; and how much came. */
  readonly #wanted: string;
  #tail = "";
  #bodyBytes = 0;

  constructor(target: ProbeTarget, options: HealthOptions, clock: Clock, proxy: ProxyVersion | null, done: ProbeDone) {
    super(target, options.timeoutMs, clock, proxy, done);
    this.#options = options;
    this.#wanted = Buffer.from(options.body).toString("latin1");
    this.#decoder = new ResponseDecoder(limits, this);
    this.socket.on("data", (chunk: Buffer) => this.#decoder.decode(chunk, 0));
  }

  protected override onConnected(): void {
    const { method, path } = this.#options;
    const { host, port } = this.target;
    const authority = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    const named = this.#options.host === "" ? authority : this.#options.host;
    const fields = ["host", named, "user-agent", "tideway-probe", "accept", "*/*", "connection", "close"];
    this.#decoder.begin(method);
    this.socket.write(encodeRequestHead(method, path, fields, Framing.none), "latin1");
  }

  /** The end of a body without a length; of anything else, a fault. */
  protected override onClosed(): void {
    this.#decoder.eof();
    this.finish(false, "closed without an answer");
  }

  onInterim(): void {}

  onHead(head: ResponseHead): void {
    if (!includesStatus(this.#options.status, head.status)) this.#conclude(false, `status ${head.status}`);
    // Without anything to look for, the body is not waited for.
    else if (this.#options.body === "") this.#conclude(true, "");
  }

  onBody(chunk: Buffer): void {
    const wanted = this.#wanted;
    const text = this.#tail + chunk.toString("latin1");
    this.#bodyBytes += chunk.length;
    if (text.includes(wanted)) this.#conclude(true, "");
    else if (this.#bodyBytes >= bodyBytesMax) this.onEnd();
    else this.#tail = text.slice(Math.max(0, text.length - wanted.length + 1));
  }

  onEnd(): void {
    this.#conclude(false, `the body does not contain ${JSON.stringify(this.#options.body)}`);
  }

  onFault(fault: HttpFault): void {
    this.finish(false, `${fault.code}: ${fault.message}`);
  }

  #conclude(passed: boolean, why: string): void {
    this.#decoder.halt();
    this.finish(passed, why);
  }
}
