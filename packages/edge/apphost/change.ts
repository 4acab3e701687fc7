/**
 * One service on its way to another specification, or to new instances of the same. Owns the order: what is new is ready
 * before anything old drains, one by one; instances that run what is wanted already are not touched.
 */
import type { ServiceSpec } from "./contract.ts";
import type { Instance } from "./instance.ts";
import type { Service } from "./service.ts";

/** True when both run the same in the same way; the number of instances is another matter. */
function isSameRun(a: ServiceSpec, b: ServiceSpec): boolean {
  return runOf(a) === runOf(b);
}

function runOf({ command, cwd, env = {}, startTimeoutMs, stopTimeoutMs, drainTimeoutMs, link }: ServiceSpec): string {
  const variables = Object.entries(env).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([command, cwd, variables, startTimeoutMs, stopTimeoutMs, drainTimeoutMs, link]);
}

export class ServiceChange {
  readonly service: Service;
  readonly #wanted: ServiceSpec;
  readonly #count: number;
  /** Those that go, and those that serve in the end. */
  readonly #old: Instance[];
  readonly #good: Instance[];
  /** Started by `prepare`: what `undo` takes back. */
  readonly #fresh: Instance[] = [];
  #isApplied = false;

  /** To `wanted`; with `renew`, instances that run that already are replaced too. */
  constructor(service: Service, wanted: ServiceSpec, renew: boolean) {
    this.service = service;
    this.#wanted = wanted;
    this.#count = wanted.instances ?? 1;
    const isGood = (instance: Instance): boolean => !renew && isSameRun(instance.spec, wanted);
    this.#good = service.instances().filter(isGood);
    this.#old = service.instances().filter((instance) => !isGood(instance));
  }

  /** True from when old ones may have gone: then only another change leads back. */
  get isApplied(): boolean {
    return this.#isApplied;
  }

  /**
   * Starts what shows whether the change will do: all that is missing, or at least one instance of the new kind. Rejects
   * when one does not become ready; then `undo`.
   */
  async prepare(): Promise<void> {
    const missing = this.#count - this.#good.length;
    const first = this.#old.length === 0 ? missing : Math.min(missing, Math.max(1, missing - this.#old.length));
    const trials = Array.from({ length: Math.max(0, first) }, () => this.#start());
    throwFirst(await Promise.allSettled(trials));
  }

  /** In place of `apply`: ends what `prepare` has started. */
  async undo(): Promise<void> {
    await Promise.all(this.#fresh.map((instance) => this.service.retire(instance)));
  }

  /** The rest. Rejects when a further new one does not become ready: the old ones that are left go on. */
  async apply(): Promise<void> {
    this.#isApplied = true;
    while (this.#old.length > 0) {
      if (this.#good.length + this.#old.length > this.#count) await this.service.retire(this.#old.shift()!);
      else await this.#start();
    }
    while (this.#good.length > this.#count) await this.service.retire(this.#good.pop()!);
    this.service.adopt(this.#wanted);
  }

  async #start(): Promise<void> {
    const instance = await this.service.try(this.#wanted);
    this.#good.push(instance);
    this.#fresh.push(instance);
  }
}

/** Everything was waited for: nothing of it goes on behind the caller's back. */
export function throwFirst(results: readonly PromiseSettledResult<unknown>[]): void {
  for (const result of results) if (result.status === "rejected") throw result.reason;
}
