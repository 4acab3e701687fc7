/**
 * The contract of a balancing policy, and what policies there are. No choice is made here.
 */
import type { HashBy } from "./keys.ts";
import type { Load } from "./load.ts";

export const balanceNames = ["least-busy", "round-robin", "weighted", "power-of-two", "fastest", "hash"] as const;
export type BalanceName = (typeof balanceNames)[number];

/** Consistent hashing: the same key, the same instance. */
export interface HashBalance {
  readonly hash: HashBy;
  /** No instance gets more than this times its share of what is under way; 1.25 unless given; Infinity: without a bound. */
  readonly load?: number;
}

/** `hash` alone goes by the client's address. */
export type Balance = BalanceName | HashBalance;

export interface Policy {
  readonly name: BalanceName;
  /**
   * One of `loads`, or null when none can be used. `key` is what `hash` goes by, for example the client's address.
   * `tried` are left out.
   */
  pick<T extends Load>(loads: readonly T[], now: number, key: string, tried: readonly Load[]): T | null;
}

/** What of a request the policy goes by; null when it goes by none. */
export function hashByOf(balance: Balance): HashBy | null {
  if (typeof balance === "object") return balance.hash;
  return balance === "hash" ? "address" : null;
}
