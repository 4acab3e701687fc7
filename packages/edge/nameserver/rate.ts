/**
 * Limits the answers over UDP per source network, so that forged questions cannot make this server shoot at a victim. A
 * token bucket for each prefix; of what is over the limit every `slip`-th gets a truncated answer, which a real client
 * takes as the advice to come by TCP, where addresses cannot be forged. Knows nothing of messages.
 */

export const Verdict = { answer: "answer", slip: "slip", drop: "drop" } as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

export interface RateLimit {
  /** Answers per second to one network (IPv4 /24, IPv6 /56). */
  readonly perSecond: number;
  /** Answers at once after a silence. */
  readonly burst: number;
  /** Every how-manieth of those over the limit is answered "truncated"; 0 for none. */
  readonly slip: number;
  /** Networks remembered; beyond it the one unheard for longest is forgotten. */
  readonly networksMax: number;
  /** Loopback too: off, for nobody can forge it from outside and it is where resolvers and load tests sit. */
  readonly limitLoopback: boolean;
}

export const rateLimitDefaults: RateLimit = Object.freeze({
  perSecond: 100,
  burst: 500,
  slip: 2,
  networksMax: 16_384,
  limitLoopback: false,
});

interface Bucket {
  tokens: number;
  at: number;
  refused: number;
}

export class RateLimiter {
  readonly #limit: RateLimit;
  readonly #buckets = new Map<string, Bucket>();

  constructor(limit: RateLimit) {
    this.#limit = limit;
  }

  /** What becomes of a question from `address` at `now` (milliseconds). */
  judge(address: string, now: number): Verdict {
    if (!this.#limit.limitLoopback && isLoopback(address)) return Verdict.answer;
    const { perSecond, burst, slip, networksMax } = this.#limit;
    const network = networkOf(address);
    const bucket = this.#buckets.get(network) ?? { tokens: burst, at: now, refused: 0 };
    // Set anew at the end of the order: the first key is always the one unheard for longest.
    this.#buckets.delete(network);
    this.#buckets.set(network, bucket);
    if (this.#buckets.size > networksMax) this.#buckets.delete(this.#buckets.keys().next().value!);
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) * perSecond) / 1000);
    bucket.at = now;
    if (bucket.tokens >= 1) {
      bucket.tokens--;
      return Verdict.answer;
    }
    bucket.refused++;
    return slip > 0 && bucket.refused % slip === 0 ? Verdict.slip : Verdict.drop;
  }
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1" || address.startsWith("::ffff:127.");
}

/** The first 24 bits of an IPv4 address, the first 56 of an IPv6 address. */
export function networkOf(address: string): string {
  const v4 = address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
  if (!v4.includes(":")) return v4.slice(0, v4.lastIndexOf("."));
  const [head = "", tail] = v4.split("%")[0]!.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const gap = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...new Array<string>(gap).fill("0"), ...right]
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16) || 0);
  return `${groups.slice(0, 3).join(":")}:${(groups[3] ?? 0) >> 8}`;
}
