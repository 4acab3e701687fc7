/**
 * Owns the requests that wait for an instance or a connection, in the order in which they came. Whoever leaves does so at
 * once, wherever it stands. Refuses to bound itself and to serve: it says who is next.
 */
import type { Asker, LeaseHandler } from "./contract.ts";
import type { Instance } from "./instance.ts";

export interface Waiter {
  readonly handler: LeaseHandler;
  readonly asker: Asker;
  readonly tried: readonly Instance[];
  readonly fresh: boolean;
  readonly until: number;
  /** It waits for one certain instance, so that others need not wait behind it. */
  readonly bound: boolean;
}

export class WaitQueue {
  readonly #waiters = new Map<LeaseHandler, Waiter>();
  #boundCount = 0;

  get size(): number {
    return this.#waiters.size;
  }

  /** Somebody waits for whatever instance there is: nobody may overtake him. */
  get hasUnbound(): boolean {
    return this.#waiters.size > this.#boundCount;
  }

  add(waiter: Waiter): void {
    this.#waiters.set(waiter.handler, waiter);
    if (waiter.bound) this.#boundCount++;
  }

  /** False when it did not wait. */
  remove(handler: LeaseHandler): boolean {
    const waiter = this.#waiters.get(handler);
    if (waiter === undefined) return false;
    this.#waiters.delete(handler);
    if (waiter.bound) this.#boundCount--;
    return true;
  }

  /** In the order of arrival; they may leave meanwhile. */
  inOrder(): IterableIterator<Waiter> {
    return this.#waiters.values();
  }
}
