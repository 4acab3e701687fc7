/**
 * One namespace's order. Whatever goes in (emits, room changes, answers, ends) takes effect in the order in which it
 * went in, although some of it waits for the store. While nothing waits, everything takes effect at once.
 *
 * Invariant: the head of the queue is never ready; what is ready has been run.
 */
import type { Outbox } from "./outbox.ts";
import { Queue } from "./queue.ts";

type Ask<T> = (done: (answer: T) => void) => void;

/**
 * Lets go of what it was given as soon as it has used it: entries of plain closures were garbage that held the next garbage,
 * and the collector of the young copied every event of the last second, for ten milliseconds.
 */
class Entry<T = unknown> {
  ready: boolean;
  /** Nothing behind it may be given to the store before it has taken effect. */
  readonly barrier: boolean;
  /** Null when nothing is asked, or it has been. */
  #ask: Ask<T> | null;
  #apply: ((answer: T) => void) | null;
  #answer: T | undefined;

  constructor(ask: Ask<T> | null, apply: (answer: T) => void, barrier = false) {
    this.ready = ask === null;
    this.barrier = barrier;
    this.#ask = ask;
    this.#apply = apply;
  }

  /** Asks the store, once; `onReady` is called when it has answered. */
  start(onReady: () => void): void {
    const ask = this.#ask;
    this.#ask = null;
    ask?.((answer) => {
      this.#answer = answer;
      this.ready = true;
      onReady();
    });
  }

  /** Takes effect. */
  apply(): void {
    const apply = this.#apply;
    const answer = this.#answer as T;
    this.#apply = null;
    this.#answer = undefined;
    apply?.(answer);
  }
}

export class Pipeline {
  readonly #entries = new Queue<Entry>();
  readonly #outbox: Outbox;
  readonly #onReady = () => this.#drain();
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
    else this.#entries.push(new Entry(null, apply));
  }

  /** The same, and what goes in later is not given to the store before. */
  runBefore(apply: () => void): void {
    if (this.idle && !this.#draining) {
      apply();
      return;
    }
    this.#barriers++;
    this.#entries.push(new Entry(null, apply, true));
  }

  /** Asks at once (unless a barrier stands before it), and runs `apply` with the answer in its turn. */
  ask<T>(start: Ask<T>, apply: (answer: T) => void): void {
    const entry = new Entry(start, apply);
    this.#entries.push(entry as Entry);
    if (this.#barriers === 0) entry.start(this.#onReady);
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
      entry.start(this.#onReady);
    }
  }
}
