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
  /** Its body has not come whole: it waits for the share that is for such, and others need not wait behind it either. */
  uploading: boolean;
}

export class WaitQueue {
  readonly #waiters = new Map<LeaseHandler, Waiter>();
  /** Those behind whom nobody needs to wait. */
  #asideCount = 0;
  #uploadCount = 0;

  get size(): number {
    return this.#waiters.size;
  }

  get uploads(): number {
    return this.#uploadCount;
  }

  /** Somebody waits for whatever instance there is: nobody may overtake him. */
  get hasUnbound(): boolean {
    return this.#waiters.size > this.#asideCount;
  }

  add(waiter: Waiter): void {
    this.#waiters.set(waiter.handler, waiter);
    if (waiter.bound || waiter.uploading) this.#asideCount++;
    if (waiter.uploading) this.#uploadCount++;
  }

  /** False when it did not wait. */
  remove(handler: LeaseHandler): boolean {
    const waiter = this.#waiters.get(handler);
    if (waiter === undefined) return false;
    this.#waiters.delete(handler);
    if (waiter.bound || waiter.uploading) this.#asideCount--;
    if (waiter.uploading) this.#uploadCount--;
    return true;
  }

  /** Its body has come whole: it stands among the others now. False when it did not wait for that. */
  uploaded(handler: LeaseHandler): boolean {
    const waiter = this.#waiters.get(handler);
    if (waiter?.uploading !== true) return false;
    waiter.uploading = false;
    this.#uploadCount--;
    if (!waiter.bound) this.#asideCount--;
    return true;
  }

  /** In the order of arrival; they may leave meanwhile. */
  inOrder(): IterableIterator<Waiter> {
    return this.#waiters.values();
  }
}
