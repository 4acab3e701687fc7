/**
 * Owns the share of requests that may be retries, so that a service in trouble is not drowned by its own second tries.
 * A bucket: every request pays in its share, every retry takes one out; a small allowance refills with time, so that a
 * quiet service may retry as well.
 */

/** What a service without traffic may retry at once, and how fast that refills. */
const allowance = 100;
const allowancePerMs = 0.01;
/** What can be saved up: bounds the storm after a long calm. */
const savingsMax = 1_000;

export class RetryBudget {
  /** Of recent requests: 0.2 lets one in five be a retry; 0 lets none. */
  share: number;
  #tokens = allowance;
  #refilledAt: number;

  constructor(share: number, now: number) {
    this.share = share;
    this.#refilledAt = now;
  }

  onRequest(): void {
    if (this.#tokens < savingsMax) this.#tokens += this.share;
  }

  /** True when one more retry is within the budget; it is then spent. */
  take(now: number): boolean {
    if (this.share === 0) return false;
    if (this.#tokens < allowance)
      this.#tokens = Math.min(allowance, this.#tokens + (now - this.#refilledAt) * allowancePerMs);
    this.#refilledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
