/**
 * Owns how many connections are open in all and from one address. As large as there are addresses with a connection, so
 * its own bound bounds it. A census that several listeners share fits in its place.
 */

/** Whom a listener asks whether there is room. */
export interface Seats {
  /** True when one more may be open; it is counted then. */
  enter(): boolean;
  /** Closes what may be closed to make room; how many. */
  makeRoom(now: number): number;
  /** Counts one that has entered under its address: the key to leave with; null when the address has too many. */
  claim(address: string): string | null;
  /** One that had entered has ended; `key` is what it claimed, or empty. */
  leave(key: string): void;
}

export class Crowd implements Seats {
  readonly #counts = new Map<string, number>();
  #total = 0;
  max: number;
  perAddressMax: number;

  constructor(max: number, perAddressMax: number) {
    this.max = max;
    this.perAddressMax = perAddressMax;
  }

  enter(): boolean {
    if (this.#total >= this.max) return false;
    this.#total++;
    return true;
  }

  /** A connection of a service is never known to be idle. */
  makeRoom(): number {
    return 0;
  }

  claim(address: string): string | null {
    const count = this.#counts.get(address) ?? 0;
    if (count >= this.perAddressMax) return null;
    this.#counts.set(address, count + 1);
    return address;
  }

  leave(key: string): void {
    this.#total--;
    const count = this.#counts.get(key);
    if (count === undefined) return;
    if (count > 1) this.#counts.set(key, count - 1);
    else this.#counts.delete(key);
  }
}
