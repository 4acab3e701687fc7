/**
 * One instance of a service: its place in the service, kept over restarts, and the process that fills it now. Owns the
 * states, the start's deadline and the wait between restarts. Knows nothing of its neighbours.
 */
import { assert, type Clock, type Logger, type Random, type Timer } from "@tideway/base";
import { backoffMs } from "./backoff.ts";
import { type InstanceObserver, InstanceState, type InstanceStatus, type ServiceSpec } from "./contract.ts";
import type { Guard } from "./guard.ts";
import type { InstanceLedger } from "./ledger.ts";
import type { PortPicker } from "./ports.ts";
import { AppProcess, type ProcessExit } from "./process.ts";
import { readLine } from "./structured.ts";

/** What the instances of all services share. */
export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly observer: InstanceObserver;
  readonly ports: PortPicker;
  readonly guard: Guard;
  readonly ledger: InstanceLedger;
  readonly env: NodeJS.ProcessEnv;
}

export interface InstanceOptions {
  readonly id: string;
  readonly service: string;
  /** What it runs: kept over restarts, also when the service has another by now. */
  readonly spec: ServiceSpec;
  readonly startTimeoutMs: number;
  readonly stopTimeoutMs: number;
  readonly drainTimeoutMs: number;
  readonly surroundings: Surroundings;
  onReady(): void;
  /** A run ended unasked. Says whether the instance should start again. */
  onFailure(failure: Failure): boolean;
  onErrorLine(line: string): void;
}

export interface Failure {
  readonly exit: ProcessExit;
  /** It was ended because it was not ready in time. */
  readonly tooSlow: boolean;
  readonly words: string;
  /** Resolves when what it printed was read. */
  readonly drained: Promise<void>;
}

const HOST = "127.0.0.1";
/** An instance that was ready for this long has recovered: its next failure counts as the first. */
const RECOVERED_MS = 10_000;

export class Instance {
  readonly id: string;
  readonly #options: InstanceOptions;
  #state: InstanceState = InstanceState.stopped;
  #process: AppProcess | null = null;
  #port = 0;
  /** Counts launches, so that one that was overtaken by a stop and another launch gives way. */
  #launches = 0;
  #starts = 0;
  #failures = 0;
  #readyAt = 0;
  #tooSlow = false;
  #lastExit = "";
  /** The deadline of a start, or the wait before the next one. */
  #timer: Timer | null = null;
  #stopping: Promise<void> | null = null;

  constructor(options: InstanceOptions) {
    this.id = options.id;
    this.#options = options;
  }

  get spec(): ServiceSpec {
    return this.#options.spec;
  }

  get state(): InstanceState {
    return this.#state;
  }

  status(): InstanceStatus {
    const ready = this.#state === InstanceState.ready;
    return {
      service: this.#options.service,
      id: this.id,
      host: HOST,
      port: this.#port,
      state: this.#state,
      pid: this.#process?.pid ?? null,
      restarts: Math.max(0, this.#starts - 1),
      readyForMs: ready ? this.#options.surroundings.clock.now() - this.#readyAt : null,
      lastExit: this.#lastExit,
    };
  }

  /** Starts the process; whatever keeps it from starting counts as a failed run. */
  launch(): void {
    this.#launch().catch((error: unknown) => {
      if (this.#process !== null) {
        // It runs, but whoever was to be told of it failed: nobody would ever use it. Its end leads to another start.
        this.#options.surroundings.logger.error(
          { ...this.#tags(), error: String(error) },
          "instance could not be announced",
        );
        this.#process.kill();
        return;
      }
      const fault = error instanceof Error ? error : new Error(String(error));
      this.#fail({ code: null, signal: null, error: fault }, Promise.resolve(), 0);
    });
  }

  async #launch(): Promise<void> {
    const { surroundings, startTimeoutMs } = this.#options;
    const launch = ++this.#launches;
    this.#state = InstanceState.starting;
    this.#stopping = null;
    const port = await surroundings.ports.pick(HOST);
    // A stop may have come while the port was looked for, and another launch after it.
    if (this.#launches !== launch || this.#state !== InstanceState.starting) {
      surroundings.ports.release(port);
      return;
    }
    this.#port = port;
    this.#tooSlow = false;
    this.#starts++;
    const process = this.#spawn(port);
    this.#process = process;
    if (process.pid === undefined) return;
    surroundings.guard.add(process.pid);
    surroundings.ledger.add(this.id, process.pid);
    surroundings.logger.info({ ...this.#tags(), process: process.pid, port }, "instance started");
    this.#arm(startTimeoutMs, () => this.#endSlowStart());
    surroundings.observer.onInstance({ service: this.#options.service, id: this.id, host: HOST, port });
  }

  ready(): void {
    if (this.#state !== InstanceState.starting || this.#process === null) return;
    this.#timer?.cancel();
    this.#state = InstanceState.ready;
    this.#readyAt = this.#options.surroundings.clock.now();
    this.#options.surroundings.logger.info(this.#tags(), "instance ready");
    this.#options.onReady();
  }

  /** Its probes fail. It has as long to recover as it had to start; then it is replaced. */
  notReady(): void {
    if (this.#state !== InstanceState.ready) return;
    this.#options.surroundings.logger.warn(this.#tags(), "instance no longer answers its probes");
    this.#state = InstanceState.starting;
    this.#arm(this.#options.startTimeoutMs, () => this.#endSlowStart());
  }

  /** Drains it, ends it, and resolves when its processes are gone. Again: the same promise. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { surroundings, stopTimeoutMs } = this.#options;
    this.#timer?.cancel();
    const process = this.#process;
    if (process !== null) {
      const wasReady = this.#state === InstanceState.ready;
      this.#state = InstanceState.draining;
      if (wasReady) await this.#drain();
      await process.end(stopTimeoutMs);
    }
    this.#state = InstanceState.stopped;
    surroundings.logger.info(this.#tags(), "instance stopped");
  }

  #drain(): Promise<void> {
    const { surroundings, drainTimeoutMs } = this.#options;
    return new Promise((resolve) => {
      const patience = surroundings.clock.after(drainTimeoutMs, () => {
        surroundings.logger.warn(
          this.#tags(),
          "requests under way did not finish in time; stopping the instance all the same",
        );
        resolve();
      });
      const done = (): void => {
        patience.cancel();
        resolve();
      };
      surroundings.observer.drain(this.id).then(done, (error: unknown) => {
        surroundings.logger.error(
          { ...this.#tags(), error: String(error) },
          "draining failed; stopping the instance all the same",
        );
        done();
      });
      // It may end by itself meanwhile.
      void this.#process?.exited.then(done);
    });
  }

  #spawn(port: number): AppProcess {
    const { spec, surroundings } = this.#options;
    const { command, cwd, env, link } = spec;
    const { logger } = surroundings;
    const tags = { stdout: { ...this.#tags(), stream: "stdout" }, stderr: { ...this.#tags(), stream: "stderr" } };
    const process: AppProcess = new AppProcess({
      command,
      cwd,
      clock: surroundings.clock,
      env: {
        ...surroundings.env,
        NODE_ENV: surroundings.env.NODE_ENV || "production",
        ...env,
        PORT: String(port),
        // Unset when there is none: one that Tideway inherited is not this application's.
        TIDEWAY_LINK: link,
        TIDEWAY_INSTANCE: this.id,
      },
      onLine: (stream, line) => {
        const { level, fields, message } = readLine(line);
        logger[level]({ ...fields, ...tags[stream] }, message);
        if (stream === "stderr") this.#options.onErrorLine(line);
      },
      onExit: (exit) => this.#onExit(process, exit),
    });
    return process;
  }

  #onExit(process: AppProcess, exit: ProcessExit): void {
    assert(this.#process === process, "an instance has one process at a time");
    const { observer, guard, ledger, ports, clock } = this.#options.surroundings;
    const readyForMs = this.#state === InstanceState.ready ? clock.now() - this.#readyAt : 0;
    this.#timer?.cancel();
    this.#process = null;
    ports.release(this.#port);
    if (process.pid !== undefined) {
      // Also what it started and left behind; a stop waits until that is gone.
      process.kill();
      guard.remove(process.pid);
      ledger.remove(process.pid);
      observer.onGone(this.id);
    }
    if (this.#state === InstanceState.draining) this.#lastExit = wordsOf(exit, false);
    else this.#fail(exit, process.drained, readyForMs);
  }

  /** A run ended unasked: the instance waits, then starts again, unless the service says that it is no use. */
  #fail(exit: ProcessExit, drained: Promise<void>, readyForMs: number): void {
    const { surroundings, onFailure } = this.#options;
    const words = wordsOf(exit, this.#tooSlow);
    this.#lastExit = words;
    this.#failures = readyForMs >= RECOVERED_MS ? 1 : this.#failures + 1;
    this.#state = InstanceState.failed;
    if (!onFailure({ exit, tooSlow: this.#tooSlow, words, drained })) return;
    const wait = backoffMs(this.#failures, surroundings.random.fraction());
    surroundings.logger.warn(
      { ...this.#tags(), exit: words, restartInMs: Math.round(wait) },
      "instance ended; it starts again",
    );
    this.#arm(wait, () => this.launch());
  }

  #endSlowStart(): void {
    const { surroundings, startTimeoutMs } = this.#options;
    surroundings.logger.warn(
      { ...this.#tags(), startTimeoutMs },
      "instance did not answer its probes in time; replacing it",
    );
    this.#tooSlow = true;
    this.#process?.kill();
  }

  #arm(delayMs: number, run: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#options.surroundings.clock.after(delayMs, run);
  }

  #tags(): { service: string; instance: string } {
    return { service: this.#options.service, instance: this.id };
  }
}

function wordsOf(exit: ProcessExit, tooSlow: boolean): string {
  if (tooSlow) return "did not answer on its port in time";
  if (exit.error !== null)
    return exit.error.code === "ENOENT"
      ? "command not found"
      : `could not be run (${exit.error.code ?? exit.error.message})`;
  return exit.signal === null ? `exit code ${exit.code}` : `signal ${exit.signal}`;
}
