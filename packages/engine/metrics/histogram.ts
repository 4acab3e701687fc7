/**
 * A histogram with fixed bounds: what is measured with every request, so measuring is one short search and two
 * additions into memory that is already there. Counts since the start, never reset.
 */

/** The bounds that OpenTelemetry's conventions advise for `http.server.request.duration`, in milliseconds. */
export const durationBoundsMs: readonly number[] = [
  5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000,
];

/** Powers of ten from nothing at all to 100 MB: the conventions advise none. */
export const sizeBoundsBytes: readonly number[] = [0, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

export class Histogram {
  /** Upper bounds, each included in its bucket (`le`); above the last one is one more bucket. */
  readonly bounds: readonly number[];
  /** Values per bucket, not cumulative, and their sum as the last cell. */
  readonly #cells: Float64Array;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#cells = new Float64Array(bounds.length + 2);
  }

  /** A negative value, which no duration or size has, counts as 0: the sum may only grow. */
  observe(value: number): void {
    const { bounds } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    this.#cells[bucket]!++;
    if (value > 0) this.#cells[bounds.length + 1]! += value;
  }

  /** Values at or below the bound of that bucket but above the one before; `bounds.length` is the bucket without bound. */
  countIn(bucket: number): number {
    return this.#cells[bucket]!;
  }

  get sum(): number {
    return this.#cells[this.bounds.length + 1]!;
  }
}
