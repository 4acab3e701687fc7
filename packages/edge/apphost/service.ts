/**
 * One service: its instances, whether it has ever been ready, and when to give up on a first start. Owns the numbering of
 * instances, the trial of a new one and the end of an old one; `change.ts` puts those in an order.
 */
import { statSync } from "node:fs";
import { OperatorError } from "@tideway/base";
import { InstanceState, type InstanceStatus, type ServiceSpec } from "./contract.ts";
import { type Failure, Instance, type Surroundings } from "./instance.ts";

const START_TIMEOUT_MS = 30_000;
/** Failed runs before any instance was ever ready, after which a first start is given up. */
const FIRST_FAILURES_MAX = 5;
/** Last lines of standard error kept for the message of a failed start. */
const ERROR_LINES_MAX = 10;
/** How long the last words of a failed run are waited for. */
const LAST_WORDS_MS = 500;
/** Exit codes of a shell that could not find or run the command (POSIX 2.8.2). */
const SHELL_NOT_RUN = [126, 127];

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

export class Service {
  readonly name: string;
  #spec: ServiceSpec;
  readonly #surroundings: Surroundings;
  readonly #instances = new Map<string, Instance>();
  /** Instances that are tried out for a replacement: they are not started again when they fail. */
  readonly #trials = new Set<string>();
  /** Instances that end, or have ended, for good. */
  readonly #retired = new WeakSet<Instance>();
  readonly #waiters = new Map<string, Waiter>();
  readonly #errorLines: string[] = [];
  #everReady = false;
  #firstFailures = 0;
  #stopping = false;
  #firstReady: Waiter | null = null;

  constructor(name: string, spec: ServiceSpec, surroundings: Surroundings) {
    this.name = name;
    this.#spec = spec;
    this.#surroundings = surroundings;
  }

  /** Starts all instances; resolves when the first is ready, rejects when the service cannot be started. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#firstReady = { resolve, reject };
      for (let i = 0; i < (this.#spec.instances ?? 1); i++) this.#create(this.#spec).launch();
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const stopped = new Error(`${this.name} was stopped`);
    for (const waiter of this.#waiters.values()) waiter.reject(stopped);
    this.#waiters.clear();
    this.#firstReady?.reject(stopped);
    await Promise.all([...this.#instances.values()].map((instance) => instance.stop()));
  }

  status(): InstanceStatus[] {
    return [...this.#instances.values()].map((instance) => instance.status());
  }

  find(id: string): Instance | undefined {
    return this.#instances.get(id);
  }

  /** What new instances run. */
  get spec(): ServiceSpec {
    return this.#spec;
  }

  /** From now on new instances run this; those that are there keep theirs. */
  adopt(spec: ServiceSpec): void {
    this.#spec = spec;
  }

  instances(): Instance[] {
    return [...this.#instances.values()];
  }

  async restart(id: string): Promise<void> {
    const instance = this.#instances.get(id);
    if (instance === undefined || this.#stopping) throw new Error(`no instance ${id}`);
    if (instance.state === InstanceState.draining) throw new Error(`${id} is being stopped already`);
    await instance.stop();
    // It may have been replaced meanwhile: then it has ended for good.
    if (this.#stopping || this.#retired.has(instance)) return;
    const ready = this.#untilReady(id);
    instance.launch();
    await ready;
  }

  /** Starts an instance beside the others; resolves when it is ready. When it does not become so, it is gone again. */
  async try(spec: ServiceSpec): Promise<Instance> {
    if (this.#stopping) throw new Error(`${this.name} is being stopped`);
    const fresh = this.#create(spec);
    this.#trials.add(fresh.id);
    const ready = this.#untilReady(fresh.id);
    fresh.launch();
    try {
      await ready;
      return fresh;
    } catch (error) {
      await this.retire(fresh);
      throw error;
    } finally {
      this.#trials.delete(fresh.id);
    }
  }

  /** Drains an instance and ends it for good. */
  async retire(instance: Instance): Promise<void> {
    this.#retired.add(instance);
    // Whoever waits for its restart has what was asked for: another process in its place.
    this.#waiters.get(instance.id)?.resolve();
    this.#waiters.delete(instance.id);
    await instance.stop();
    if (this.#instances.get(instance.id) === instance) this.#instances.delete(instance.id);
  }

  #untilReady(id: string): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.set(id, { resolve, reject }));
  }

  /** An instance with the lowest number that is free. */
  #create(spec: ServiceSpec): Instance {
    let number = 1;
    while (this.#instances.has(`${this.name}-${number}`)) number++;
    const id = `${this.name}-${number}`;
    const instance = new Instance({
      id,
      service: this.name,
      spec,
      startTimeoutMs: spec.startTimeoutMs ?? START_TIMEOUT_MS,
      stopTimeoutMs: spec.stopTimeoutMs ?? 10_000,
      drainTimeoutMs: spec.drainTimeoutMs ?? 30_000,
      surroundings: this.#surroundings,
      onReady: () => this.#onReady(id),
      onFailure: (failure) => this.#onFailure(id, spec, failure),
      onErrorLine: (line) => {
        this.#errorLines.push(line);
        if (this.#errorLines.length > ERROR_LINES_MAX) this.#errorLines.shift();
      },
    });
    this.#instances.set(id, instance);
    return instance;
  }

  #onReady(id: string): void {
    this.#everReady = true;
    this.#firstReady?.resolve();
    this.#firstReady = null;
    this.#waiters.get(id)?.resolve();
    this.#waiters.delete(id);
  }

  /** Says whether the instance should start again. */
  #onFailure(id: string, spec: ServiceSpec, failure: Failure): boolean {
    if (this.#stopping) return false;
    if (this.#trials.has(id)) {
      void this.#failed(spec, failure).then((error) => {
        this.#waiters.get(id)?.reject(error);
        this.#waiters.delete(id);
      });
      return false;
    }
    if (this.#everReady) return true;
    this.#firstFailures++;
    // What was not found will not be found the next time; what did not answer in all that time is not worth another.
    const hopeless = failure.exit.error !== null || failure.tooSlow || SHELL_NOT_RUN.includes(failure.exit.code ?? 0);
    if (!hopeless && this.#firstFailures < FIRST_FAILURES_MAX) return true;
    void this.#failed(spec, failure).then((error) => this.#firstReady?.reject(error));
    return false;
  }

  async #failed(spec: ServiceSpec, failure: Failure): Promise<OperatorError> {
    await new Promise<void>((resolve) => {
      const patience = this.#surroundings.clock.after(LAST_WORDS_MS, resolve);
      void failure.drained.then(() => {
        patience.cancel();
        resolve();
      });
    });
    const { command, cwd } = spec;
    const times = this.#firstFailures > 1 && !failure.tooSlow ? `, ${this.#firstFailures} times` : "";
    const noFolder = failure.exit.error?.code === "ENOENT" && !isFolder(cwd);
    const what = noFolder ? `the folder ${cwd} does not exist` : `${failure.words}${times}`;
    const lines = this.#errorLines.map((line) => `\n           | ${line}`).join("");
    return new OperatorError("START_SERVICE_FAILED", {
      where: `services.${this.name}`,
      seen: `command "${command}": ${what}${lines}`,
      hint: hintFor(failure, noFolder, command, cwd, spec.startTimeoutMs ?? START_TIMEOUT_MS),
    });
  }
}

function hintFor(failure: Failure, noFolder: boolean, command: string, cwd: string, startTimeoutMs: number): string {
  if (noFolder) return `Set "cwd" of the service to an existing folder.`;
  if (failure.exit.error !== null || SHELL_NOT_RUN.includes(failure.exit.code ?? 0)) {
    return `Check the spelling of "command", that the program is installed and in PATH, and that it may be run.`;
  }
  if (failure.tooSlow) {
    return `Let the application listen on 127.0.0.1 and the port in PORT and answer its health check within ${startTimeoutMs} ms, or raise "startTimeoutMs".`;
  }
  return `Run it by hand to see why it ends: cd ${cwd} && PORT=3000 ${command}`;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
