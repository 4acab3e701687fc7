/**
 * Owns rate limits: what may be configured, the decision for a request, and how a client is told of it
 * (draft-ietf-httpapi-ratelimit-headers-11; RFC 6585 §4 for 429; RFC 9110 §10.2.3 for Retry-After). Refuses to answer:
 * whoever wires sends the 429.
 */
import { type FieldList, limits } from "@tideway/base";
import { Buckets } from "./buckets.ts";
import { type KeyedHead, type KeyOf, type KeySpec, keyOf } from "./keys.ts";

const periodsMs = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

export interface RateSpec {
  /** Per `per` or `perMs`: what each key may ask in the long run. */
  readonly requests: number;
  readonly per?: keyof typeof periodsMs | undefined;
  /** In place of `per`. */
  readonly perMs?: number | undefined;
  /** What may come at once after a pause; as many as `requests` unless given. */
  readonly burst?: number | undefined;
  /** By address unless given. */
  readonly by?: KeySpec | undefined;
  /** How the fields name this limit; "default" unless given. Several limits of one route need several names. */
  readonly name?: string | undefined;
  /** Keys that are remembered; `limits.rateKeysMax` unless given. */
  readonly keysMax?: number | undefined;
}

/** Reused: it holds until the next request is decided. */
export interface RateDecision {
  readonly allowed: boolean;
  /** What a bucket holds. */
  readonly limit: number;
  /** What may be asked at once after this request. */
  readonly remaining: number;
  /**
   * The effective window: in so many seconds as many as remain have come back, so that to spread them over it is to keep
   * the limit; when none remains, until there is one. At least 1.
   */
  readonly resetSeconds: number;
  /** Until a refused request would be allowed, at least 1; 0 for an allowed one. */
  readonly retryAfterSeconds: number;
}

export interface RateFault {
  readonly code: "BAD_RATE";
  readonly place: readonly (string | number)[];
  readonly seen: string;
  readonly allowed: string;
  readonly hint: string;
}

export type CompiledRate =
  | { readonly ok: true; readonly rate: RateLimit }
  | { readonly ok: false; readonly faults: readonly RateFault[] };

interface RateSettings {
  /** Between two tokens. */
  readonly intervalMs: number;
  readonly burst: number;
  readonly by: KeySpec;
  readonly name: string;
  readonly keysMax: number;
}

export class RateLimit {
  /** `ratelimit-policy`: the same for every answer. */
  readonly policy: string;
  /** By what it counts. */
  readonly keyOf: KeyOf;
  readonly #name: string;
  readonly #intervalMs: number;
  readonly #buckets: Buckets;
  readonly #decision: { -readonly [K in keyof RateDecision]: RateDecision[K] };

  constructor({ intervalMs, burst, by, name, keysMax }: RateSettings) {
    this.#name = `"${name}"`;
    this.#intervalMs = intervalMs;
    this.#buckets = new Buckets(intervalMs, burst, keysMax);
    this.keyOf = keyOf(by);
    // The same rate said by the bucket: so many, which come back in so many seconds. `r` and `t` are never more.
    this.policy = `${this.#name};q=${burst};w=${seconds(intervalMs * burst)}`;
    this.#decision = { allowed: true, limit: burst, remaining: 0, resetSeconds: 0, retryAfterSeconds: 0 };
  }

  /** Keys that are remembered now. */
  get keys(): number {
    return this.#buckets.count;
  }

  /** Decides a request and counts it when it is allowed. `now` is monotonic. */
  take(key: string, now: number): RateDecision {
    const decision = this.#decision;
    const needed = this.#buckets.take(key, now);
    if (needed < 0) {
      decision.allowed = false;
      decision.remaining = 0;
      decision.resetSeconds = decision.retryAfterSeconds = seconds(-needed);
      return decision;
    }
    const left = decision.limit - needed / this.#intervalMs;
    const remaining = Math.floor(left + 1e-6);
    decision.allowed = true;
    decision.remaining = remaining;
    decision.resetSeconds = seconds((remaining > 0 ? remaining : 1 - left) * this.#intervalMs);
    decision.retryAfterSeconds = 0;
    return decision;
  }

  /** The same, by what the request says of itself. */
  decide(head: KeyedHead, address: string, now: number): RateDecision {
    return this.take(this.keyOf(head, address), now);
  }

  /** The value of `ratelimit`. */
  field({ remaining, resetSeconds }: RateDecision): string {
    return `${this.#name};r=${remaining};t=${resetSeconds}`;
  }

  /** What a 429 says besides. */
  refusalFields(decision: RateDecision): FieldList {
    const retry = String(decision.retryAfterSeconds);
    return ["ratelimit-policy", this.policy, "ratelimit", this.field(decision), "retry-after", retry];
  }
}

/** Whole seconds, rounded up so that who waits that long waited enough; a hair over a whole one is one. */
function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000 - 1e-6));
}

/** All faults are reported. `place` is that of `rate`. */
export function compileRate(spec: RateSpec, place: readonly (string | number)[]): CompiledRate {
  const faults: RateFault[] = [];
  const refuse = (key: string, seen: unknown, allowed: string, hint: string): void => {
    faults.push({ code: "BAD_RATE", place: [...place, key], seen: JSON.stringify(seen) ?? "nothing", allowed, hint });
  };
  const { requests, burst = requests, by = "address", name = "default", keysMax = limits.rateKeysMax } = spec;
  if (!isCount(requests)) refuse("requests", requests, countAllowed, "say how many each may ask in a period");
  if (!isCount(burst)) refuse("burst", burst, countAllowed, "say how many may come at once, or leave it out");
  if (!isCount(keysMax)) refuse("keysMax", keysMax, countAllowed, "say how many keys are remembered, or leave it out");
  const perMs = readPeriod(spec, refuse);
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(name))
    refuse("name", name, "letters, digits and `._-`, at most 64", "it stands in the RateLimit fields");
  checkKey(by, refuse);
  return faults.length === 0
    ? { ok: true, rate: new RateLimit({ intervalMs: perMs / requests, burst, by, name, keysMax }) }
    : { ok: false, faults };
}

type Refuse = (key: string, seen: unknown, allowed: string, hint: string) => void;

const countMax = 1_000_000;
const countAllowed = `a whole number from 1 to ${countMax}`;

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= countMax;
}

function readPeriod({ per, perMs }: RateSpec, refuse: Refuse): number {
  const names = Object.keys(periodsMs).map((name) => `"${name}"`);
  if (per !== undefined && perMs !== undefined) refuse("perMs", perMs, "`per` or `perMs`", "leave one of the two out");
  if (per !== undefined) {
    if (Object.hasOwn(periodsMs, per)) return periodsMs[per];
    refuse("per", per, names.join(" | "), "name a period, or give it as `perMs`");
  } else if (perMs === undefined) refuse("per", per, names.join(" | "), 'say in which time, such as per: "minute"');
  else if (!Number.isInteger(perMs) || perMs < 1 || perMs > 31 * periodsMs.day)
    refuse("perMs", perMs, "milliseconds, from 1 to those of 31 days", "give whole milliseconds");
  return perMs ?? 0;
}

function checkKey(by: KeySpec, refuse: Refuse): void {
  if (by === "address") return;
  const isName = (text: string | undefined): boolean =>
    text === undefined || /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
  const allowed = '"address", { header: name } or { account: { header, cookie, query } }';
  if ("header" in by) {
    if (!isName(by.header)) refuse("by", by, allowed, "a field's name is one word of letters, digits and -");
    return;
  }
  const { header, cookie, query } = by.account;
  if (header === undefined && cookie === undefined && query === undefined)
    refuse("by", by, allowed, "say where the account's key stands: in a header, a cookie or the query");
  else if (![header, cookie, query].every(isName))
    refuse("by", by, allowed, "names are one word of letters, digits and -");
}
