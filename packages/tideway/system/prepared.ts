/** The two halves of a change: what is new is brought up first, beside the old; then it holds, or nothing has happened. */
import type { Change } from "../console/index.ts";

export interface Prepared {
  /** The new configuration holds from now on. Cannot fail; what ends takes its time in the background. */
  commit(changes: Change[]): void;
  /** Takes back what was brought up; everything is as it was. */
  rollBack(): Promise<void>;
}

/** Several changes as one: they hold together or not at all. */
export class Preparation {
  readonly #parts: Prepared[] = [];

  add(part: Prepared): void {
    this.#parts.push(part);
  }

  commit(): Change[] {
    const changes: Change[] = [];
    for (const part of this.#parts) part.commit(changes);
    return changes;
  }

  async rollBack(): Promise<void> {
    for (const part of this.#parts.toReversed()) await part.rollBack();
  }
}
