/** The sessions by their ids, and whether there may be one more: in all, and of one address. */
import { parseAddressRanges } from "@tideway/base";
import { addressKey } from "@tideway/engine/limiting";
import type { Session } from "./session.ts";

export interface SessionBounds {
  readonly sessionsMax: number;
  readonly sessionsPerAddressMax: number;
}

/** Where most often a proxy stands that speaks for many clients: loopback, RFC 1918, RFC 6598, RFC 4193, link-local. */
const shared = parseAddressRanges([
  "127.0.0.0/8",
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "169.254.0.0/16",
  "::1",
  "fc00::/7",
  "fe80::/10",
]);

export class Sessions {
  readonly #bounds: SessionBounds;
  readonly #byId = new Map<string, Session>();
  /** Holds no address without a session, so it is bounded as they are. */
  readonly #byAddress = new Map<string, number>();

  constructor(bounds: SessionBounds) {
    this.#bounds = bounds;
  }

  get(id: string): Session | undefined {
    return this.#byId.get(id);
  }

  /** All of them, now: they may leave while the list is walked. */
  list(): Session[] {
    return [...this.#byId.values()];
  }

  /** Why there can be no further one from this address; null when there can. */
  obstacle(address: string): "full" | "address" | null {
    if (this.#byId.size >= this.#bounds.sessionsMax) return "full";
    const key = countedAddress(address);
    const open = key === "" ? 0 : (this.#byAddress.get(key) ?? 0);
    return open >= this.#bounds.sessionsPerAddressMax ? "address" : null;
  }

  add(session: Session): void {
    this.#byId.set(session.id, session);
    const key = countedAddress(session.address);
    if (key !== "") this.#byAddress.set(key, (this.#byAddress.get(key) ?? 0) + 1);
  }

  delete(session: Session): void {
    if (!this.#byId.delete(session.id)) return;
    const key = countedAddress(session.address);
    const left = (this.#byAddress.get(key) ?? 1) - 1;
    if (left === 0) this.#byAddress.delete(key);
    else this.#byAddress.set(key, left);
  }
}

/** By what an address is counted; empty for one that is not. */
export function countedAddress(address: string): string {
  return shared.ok && shared.ranges.has(address) ? "" : addressKey(address);
}
