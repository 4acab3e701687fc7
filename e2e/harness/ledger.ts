/**
 * What a client has received, kept by the test and never asked of the server: the one witness of "once, in order".
 */

export class Ledger {
  /** Everything received, in order. */
  readonly entries: string[] = [];
  readonly #counts = new Map<string, number>();

  add(entry: string): void {
    this.entries.push(entry);
    this.#counts.set(entry, (this.#counts.get(entry) ?? 0) + 1);
  }

  has(entry: string): boolean {
    return this.#counts.has(entry);
  }

  /** Entries that came more than once. */
  get repeated(): string[] {
    return [...this.#counts].filter(([, count]) => count > 1).map(([entry]) => entry);
  }

  /** Of `expected`, those that never came. */
  missing(expected: Iterable<string>): string[] {
    return [...expected].filter((entry) => !this.#counts.has(entry));
  }
}
