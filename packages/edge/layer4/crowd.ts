/**
 * Owns how many connections are open in all and from one address. As large as there are addresses with a connection, so
 * its own bound bounds it. Beside a census that several listeners share, both have a word.
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
    this.release(key);
  }

  /** Takes back a claim; whoever made it is still there. */
  release(key: string): void {
    const count = this.#counts.get(key);
    if (count === undefined) return;
    if (count > 1) this.#counts.set(key, count - 1);
    else this.#counts.delete(key);
  }
}

/** The bounds of one listener within those that it shares. */
export class SharedSeats implements Seats {
  readonly #own: Crowd;
  readonly #shared: Seats;

  constructor(own: Crowd, shared: Seats) {
    this.#own = own;
    this.#shared = shared;
  }

  enter(): boolean {
    if (!this.#own.enter()) return false;
    if (this.#shared.enter()) return true;
    this.#own.leave("");
    return false;
  }

  makeRoom(now: number): number {
    return this.#shared.makeRoom(now);
  }

  claim(address: string): string | null {
    if (this.#own.claim(address) === null) return null;
    const key = this.#shared.claim(address);
    if (key !== null) return `${address} ${key}`;
    this.#own.release(address);
    return null;
  }

  leave(key: string): void {
    const [own = "", shared = ""] = key.split(" ");
    this.#own.leave(own);
    this.#shared.leave(shared);
  }
}
