/**
 * One namespace's order. Whatever goes in (emits, room changes, answers, ends) takes effect in the order in which it
 * went in, although some of it waits for the store. While nothing waits, everything takes effect at once.
 *
 * Invariant: the head of the queue is never ready; what is ready has been run.
 */
import type { Outbox } from "./outbox.ts";
import { Queue } from "./queue.ts";

interface Entry {
  /** Asks the store; null when nothing is asked, or it has been. */
  start: (() => void) | null;
  ready: boolean;
  /** Nothing behind it may be given to the store before it has taken effect. */
  readonly barrier: boolean;
  apply: () => void;
}

export class Pipeline {
  readonly #entries = new Queue<Entry>();
  readonly #outbox: Outbox;
  #barriers = 0;
  #draining = false;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** Entries that have not taken effect. */
  get length(): number {
    return this.#entries.length;
  }

  /** Whether what goes in now takes effect now. */
  get idle(): boolean {
    return this.length === 0;
  }

  /** Whether what goes in now is given to the store only later. */
  get barred(): boolean {
    return this.#barriers > 0;
  }

  /** Runs `apply` in its turn. */
  run(apply: () => void): void {
    if (this.idle && !this.#draining) apply();
    else this.#entries.push({ start: null, ready: true, barrier: false, apply });
  }

  /** The same, and what goes in later is not given to the store before. */
  runBefore(apply: () => void): void {
    if (this.idle && !this.#draining) {
      apply();
      return;
    }
    this.#barriers++;
    this.#entries.push({ start: null, ready: true, barrier: true, apply });
  }

  /** Asks at once (unless a barrier stands before it), and runs `apply` with the answer in its turn. */
  ask<T>(start: (done: (answer: T) => void) => void, apply: (answer: T) => void): void {
    const entry: Entry = { start: null, ready: false, barrier: false, apply: () => {} };
    entry.start = () => {
      entry.start = null;
      start((answer) => {
        entry.apply = () => apply(answer);
        entry.ready = true;
        this.#drain();
      });
    };
    this.#entries.push(entry);
    if (this.#barriers === 0) entry.start();
  }

  #drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#outbox.enter();
    try {
      for (let entry = this.#entries.first; entry?.ready; entry = this.#entries.first) {
        this.#entries.shift();
        if (entry.barrier) this.#barriers--;
        entry.apply();
        if (entry.barrier) this.#startBehind();
      }
    } finally {
      this.#draining = false;
      this.#outbox.leave();
    }
  }

  /** A barrier is gone: asks what waited behind it, up to the next one. */
  #startBehind(): void {
    for (const entry of this.#entries) {
      if (entry.barrier) return;
      entry.start?.();
    }
  }
}
