/**
 * Owns an instance of a TCP or UDP service as these see it: a pool's member that knows what is under way there, so that all
 * of it can be ended at the deadline of a drain. And how such instances are probed. Refuses to choose and to judge.
 */
import type { Clock } from "@tideway/base";
import { Member, Pool, type PoolOptions, type ProbeMaker, type ProbeTarget } from "../upstream/index.ts";

/** A connection or session at an instance. */
export interface Line {
  /** Ends it now: a connection with a reset on both sides, a session without a word. */
  breakOff(): void;
}

export class Layer4Member extends Member {
  readonly #lines = new Set<Line>();

  /** Counted as under way from now on. */
  join(line: Line, now: number): void {
    this.#lines.add(line);
    this.begin(now);
  }

  leave(line: Line): void {
    if (this.#lines.delete(line)) this.end();
  }

  /** Ends whatever is under way there: at the deadline of a drain, or because its process is about to go. */
  override destroy(): void {
    for (const line of [...this.#lines]) line.breakOff();
  }
}

export type Layer4Pool = Pool<Layer4Member>;

/**
 * The pool of a TCP or UDP service. What is under way at an instance that is down or drains goes on; `destroy` of the member ends
 * it, and `close` of the pool ends all.
 */
export function createLayer4Pool(options: PoolOptions): Layer4Pool {
  return new Pool(options, (address, owner, now) => new Layer4Member(address, owner, now));
}

/**
 * Asks nothing: an instance counts as up from the start, and after that only how it fares speaks for or against it. What a
 * UDP service has unless told otherwise, since nothing answers to an empty question.
 */
export function passiveProbe(clock: Clock): ProbeMaker {
  const known = new WeakSet<ProbeTarget>();
  return (target, done) => {
    const isNew = !known.has(target);
    known.add(target);
    const timer = isNew ? clock.after(0, () => done(true, "")) : null;
    return {
      cancel: () => {
        timer?.cancel();
        // It was told to drain, or left: should it come back, it counts as up again.
        known.delete(target);
      },
    };
  };
}

/** Asks another port of the same machine: where a UDP service says over TCP or HTTP how it does. */
export function portProbe(port: number, probe: ProbeMaker): ProbeMaker {
  return ({ host }, done) => probe({ host, port }, done);
}
