/**
 * What a tick leaves to its end: queues that are let out, so that what is queued in one tick leaves in one write, and ends
 * that are told. Answers do not wait for that end once there are many.
 */
import type { Clock } from "@tideway/base";
import type { Session } from "./session.ts";

/**
 * So many sessions with nothing but answers are let out together, and not held until the end of the tick. An answer is for
 * one client, which is seldom given more of them in the same tick: to wait would save few writes, and when thousands ask at
 * once all that belongs to their answers would outlive a collection of the young, which then copies it.
 */
const answeredMax = 64;

export class TickEnd {
  readonly #clock: Clock;
  readonly #onEnded: (session: Session) => void;
  readonly #onFlushed: () => void;
  #dirty: Session[] = [];
  #answered: Session[] = [];
  #ended: Session[] = [];
  #scheduled = false;
  readonly #run = () => this.#end();
  readonly #runAnswers = () => this.#flushAnswers();

  /** `onFlushed` is called when all queues have been let out, then `onEnded` for each that has ended. */
  constructor(clock: Clock, onFlushed: () => void, onEnded: (session: Session) => void) {
    this.#clock = clock;
    this.#onFlushed = onFlushed;
    this.#onEnded = onEnded;
  }

  /** Lets the session's queue out at the end of this tick; earlier, perhaps, when it begins with an `answer`. */
  flush(session: Session, answer: boolean): void {
    if (!answer) this.#dirty.push(session);
    else if (this.#answered.push(session) === answeredMax) process.nextTick(this.#runAnswers);
    this.#schedule();
  }

  ended(session: Session): void {
    this.#ended.push(session);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.defer(this.#run);
  }

  #flushAnswers(): void {
    const answered = this.#answered;
    if (answered.length === 0) return;
    this.#answered = [];
    for (const session of answered) session.flush();
  }

  #end(): void {
    this.#scheduled = false;
    this.#flushAnswers();
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const session of dirty) session.flush();
    this.#onFlushed();
    const ended = this.#ended;
    if (ended.length === 0) return;
    this.#ended = [];
    for (const session of ended) this.#onEnded(session);
  }
}
