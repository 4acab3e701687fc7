/**
 * Who is connected, to all listeners that share a census: how many connections are open in all and from one address, upgraded
 * ones included until they close, and which are idle when room is needed. An address here is an IPv4 address or the /64
 * that an IPv6 address is in, for that is what one subscriber has.
 */
import { type AddressRanges, canonicalAddress, limits } from "@tideway/base";
import { connectionsShare, Descriptors } from "./descriptors.ts";

export interface CensusOptions {
  /** Open connections in all: 0.4 of the process's descriptors unless given. */
  readonly connectionsMax?: number;
  /** Open connections from one address: 1,024 unless given. */
  readonly connectionsPerAddressMax?: number;
  /** Addresses whose connections are not counted by address, besides loopback: proxies in front, monitoring. */
  readonly uncounted?: AddressRanges;
}

/** A listener, as far as room is concerned. */
export interface Member {
  readonly connections: Iterable<Shedding>;
}

interface Shedding {
  /** -1 unless it may be closed without harm. */
  readonly idleSince: number;
  /** Closes it and leaves the census. */
  shed(): void;
}

/** Idle connections that are closed at once when there is no room: looking for the oldest costs a pass over all. */
const SHED_BATCH = 32;
/** Part of all connections that are closed at once at most, so that few are when few may be open. */
const SHED_SHARE = 1 / 16;
/** One that has been idle for less has perhaps a request on its way, as the first of a new client has: it is not closed. */
const SHED_IDLE_MS = 500;
const LEAVING_MAX = 64;
/** How often the limit of descriptors is read anew. */
const REFRESH_MS = 10_000;

export class Census {
  #connectionsMax: number;
  #perAddressMax: number;
  #uncounted: AddressRanges | null;
  readonly #members = new Set<Member>();
  readonly #descriptors = new Descriptors();
  #refreshedAt = Number.NEGATIVE_INFINITY;
  #total = 0;
  /** Holds no address without a connection, so it is bounded as they are. */
  readonly #byAddress = new Map<string, number>();

  constructor(options: CensusOptions = {}) {
    this.#connectionsMax = options.connectionsMax ?? connectionsShare();
    this.#perAddressMax = options.connectionsPerAddressMax ?? limits.connectionsPerAddressMax;
    this.#uncounted = options.uncounted ?? null;
  }

  /** Open now, upgraded ones included. */
  get total(): number {
    return this.#total;
  }

  /** Addresses that connections are counted of now. */
  get addresses(): number {
    return this.#byAddress.size;
  }

  /** How many that are turned away may stay until they have read why: their descriptors are few, too. */
  get leavingMax(): number {
    return this.#descriptors.short ? 0 : Math.min(LEAVING_MAX, Math.ceil(this.#connectionsMax * SHED_SHARE));
  }

  get descriptorsShort(): boolean {
    return this.#descriptors.short;
  }

  /** All options anew. Whoever is connected stays; the bounds hold for those who come. */
  reconfigure(options: CensusOptions): void {
    this.#connectionsMax = options.connectionsMax ?? connectionsShare();
    this.#perAddressMax = options.connectionsPerAddressMax ?? limits.connectionsPerAddressMax;
    this.#uncounted = options.uncounted ?? null;
  }

  join(member: Member): void {
    this.#members.add(member);
  }

  part(member: Member): void {
    this.#members.delete(member);
  }

  /** True when one more may be open; enters it then. */
  enter(): boolean {
    this.#descriptors.used();
    if (this.#total >= this.#connectionsMax || this.#descriptors.short) return false;
    this.#total++;
    return true;
  }

  /** The key that a connection's address is counted under, empty when it is not counted; null when it has too many. */
  claim(address: string): string | null {
    const key = this.#keyOf(address);
    if (key === "") return key;
    const open = this.#byAddress.get(key) ?? 0;
    if (open >= this.#perAddressMax) return null;
    this.#byAddress.set(key, open + 1);
    return key;
  }

  /** One that had entered has closed; `key` is what it claimed, or empty. */
  leave(key: string): void {
    this.#total--;
    if (key === "") return;
    const left = this.#byAddress.get(key)! - 1;
    if (left === 0) this.#byAddress.delete(key);
    else this.#byAddress.set(key, left);
  }

  /** Closes the connections that have been idle the longest, of whichever listener; returns how many. */
  makeRoom(now: number): number {
    const idle: Shedding[] = [];
    for (const member of this.#members)
      for (const connection of member.connections) if (mayGo(connection.idleSince, now)) idle.push(connection);
    idle.sort((a, b) => a.idleSince - b.idleSince);
    const batch = idle.slice(0, Math.min(SHED_BATCH, Math.ceil(this.#total * SHED_SHARE)));
    for (const connection of batch) connection.shed();
    if (batch.length > 0 && this.#descriptors.short) this.#descriptors.look();
    return batch.length;
  }

  /** About once a second, by each member. Returns how many connections were closed because descriptors run out. */
  sweep(now: number): number {
    if (now - this.#refreshedAt >= REFRESH_MS) {
      this.#refreshedAt = now;
      this.#descriptors.refresh();
    } else this.#descriptors.look();
    return this.#descriptors.short ? this.makeRoom(now) : 0;
  }

  #keyOf(address: string): string {
    if (address.startsWith("127.") || address === "::1") return "";
    if (this.#uncounted?.has(address) === true) return "";
    return address.includes(":") ? network64(address) : address;
  }
}

function mayGo(idleSince: number, now: number): boolean {
  return idleSince >= 0 && now - idleSince >= SHED_IDLE_MS;
}

/** The first four groups of an IPv6 address; an IPv4 address as it is. */
function network64(address: string): string {
  const canonical = canonicalAddress(address);
  if (!canonical.includes(":")) return canonical;
  const [before, after] = canonical.split("::") as [string, string | undefined];
  const groups = before === "" ? [] : before.split(":");
  if (after !== undefined) {
    const behind = after === "" ? [] : after.split(":");
    while (groups.length + behind.length < 8) groups.push("0");
    groups.push(...behind);
  }
  return groups.slice(0, 4).join(":");
}
