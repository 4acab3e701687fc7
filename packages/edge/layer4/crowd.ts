/**
 * Owns how many connections each address has. As large as there are addresses with a connection, so whoever bounds the
 * connections bounds this too.
 */
export class Crowd {
  readonly #counts = new Map<string, number>();

  get size(): number {
    return this.#counts.size;
  }

  /** Counts one more; false, and not counted, when the address has `max` already. */
  enter(address: string, max: number): boolean {
    const count = this.#counts.get(address) ?? 0;
    if (count >= max) return false;
    this.#counts.set(address, count + 1);
    return true;
  }

  leave(address: string): void {
    const count = this.#counts.get(address) ?? 0;
    if (count > 1) this.#counts.set(address, count - 1);
    else this.#counts.delete(address);
  }
}
