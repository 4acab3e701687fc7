/**
 * Owns the servers behind as they were configured, and what instances they are at the moment: an address is one, a name is as
 * many as it has addresses, and is asked for them again as they expire. A name that does not resolve any more keeps its last
 * addresses; one that never did is asked again and again, ever less often. Refuses to know what instances are used for.
 */
import { isIP } from "node:net";
import type { Clock, Logger, Random, Timer } from "@tideway/base";
import type { MemberAddress } from "./member.ts";
import type { Resolve } from "./resolver.ts";
import type { UpstreamAddress } from "./settings.ts";
import type { NameStatus } from "./status.ts";

/** Bounds of what a record's time to live may say. */
const ttlMinMs = 1_000;
const ttlMaxMs = 3_600_000;
/** Between two questions when there is no answer: doubles from the one to the other. */
const retryMs = 1_000;
const retryMaxMs = 30_000;
/** At most this share earlier: never after it has expired. */
const jitter = 0.1;
/** Addresses of one name; more are not used. */
const addressesMax = 64;

export interface UpstreamsOptions {
  /** The service's name, for the log. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly resolve: Resolve;
  /** The instances are these now. */
  readonly onChange: () => void;
}

interface Name {
  addresses: readonly string[];
  fault: string;
  /** Questions in a row without an answer. */
  misses: number;
  dueAt: number;
  timer: Timer | null;
  readonly since: number;
}

/** Whoever holds members: a service, or a pool. */
interface Members {
  add(address: MemberAddress): boolean;
  remove(id: string): void;
  setWeight(id: string, weight: number): boolean;
}

/** Applies the difference, and only that: what somebody has drained or weighted by hand stays so. */
export function applyDifference(
  members: Members,
  before: ReadonlyMap<string, MemberAddress>,
  now: ReadonlyMap<string, MemberAddress>,
): void {
  for (const [id, { host, port }] of before) {
    const same = now.get(id);
    if (same === undefined || same.host !== host || same.port !== port) members.remove(id);
  }
  for (const [id, address] of now) {
    if (members.add(address)) continue;
    const { weight = 1 } = address;
    if (before.get(id)?.weight !== weight) members.setWeight(id, weight);
  }
}

export class Upstreams {
  readonly #options: UpstreamsOptions;
  #list: readonly UpstreamAddress[] = [];
  readonly #names = new Map<string, Name>();
  #closed = false;

  constructor(options: UpstreamsOptions) {
    this.#options = options;
  }

  /** These are configured from now on; names that were before keep what is known of them. */
  set(list: readonly UpstreamAddress[]): void {
    this.#list = list;
    const wanted = new Set(list.map(({ host }) => host).filter((host) => isIP(host) === 0));
    for (const [host, { timer }] of this.#names) {
      if (wanted.has(host)) continue;
      timer?.cancel();
      this.#names.delete(host);
    }
    for (const host of wanted) {
      if (this.#names.has(host)) continue;
      const since = this.#options.clock.now();
      const name: Name = { addresses: [], fault: "", misses: 0, dueAt: since, timer: null, since };
      this.#names.set(host, name);
      void this.#ask(host, name);
    }
    this.#options.onChange();
  }

  /** By id. */
  instances(): Map<string, MemberAddress> {
    const instances = new Map<string, MemberAddress>();
    for (const upstream of this.#list) {
      const { host, port, weight = 1 } = upstream;
      const id = upstream.id ?? (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);
      const name = this.#names.get(host);
      if (name === undefined) instances.set(id, { id, host, port, weight });
      else
        for (const address of name.addresses) {
          const own = `${id}/${address}`;
          instances.set(own, { id: own, host: address, port, weight });
        }
    }
    return instances;
  }

  /** A name is asked for the first time, and that not for long: whoever finds no instance had better wait. */
  isPromising(patienceMs: number): boolean {
    const now = this.#options.clock.now();
    for (const { addresses, since } of this.#names.values()) {
      if (addresses.length === 0 && now - since < patienceMs) return true;
    }
    return false;
  }

  async #ask(host: string, name: Name): Promise<void> {
    const { clock, random, resolve } = this.#options;
    let next: number;
    try {
      const { addresses, ttlMs, partial = false } = await resolve(host);
      if (addresses.length === 0) throw new Error("no address");
      name.misses = 0;
      next = Math.min(ttlMaxMs, Math.max(ttlMinMs, ttlMs));
      if (this.#isCurrent(host, name)) this.#learn(host, name, partial ? [...name.addresses, ...addresses] : addresses);
    } catch (error) {
      next = Math.min(retryMaxMs, retryMs * 2 ** Math.min(name.misses, 10));
      name.misses++;
      if (this.#isCurrent(host, name)) this.#miss(host, name, error);
    }
    if (!this.#isCurrent(host, name)) return;
    const delay = next * (1 - jitter * random.fraction());
    name.dueAt = clock.now() + delay;
    name.timer = clock.after(delay, () => void this.#ask(host, name));
  }

  #isCurrent(host: string, name: Name): boolean {
    return !this.#closed && this.#names.get(host) === name;
  }

  #learn(host: string, name: Name, found: readonly string[]): void {
    const addresses = [...new Set(found)].sort().slice(0, addressesMax);
    const fields = { service: this.#options.name, name: host, addresses };
    if (name.fault !== "") this.#options.logger.info(fields, "name resolves again");
    name.fault = "";
    if (addresses.join() === name.addresses.join()) return;
    name.addresses = addresses;
    this.#options.logger.info(fields, "name has other addresses");
    this.#options.onChange();
  }

  #miss(host: string, name: Name, error: unknown): void {
    const { code, message } = error as NodeJS.ErrnoException;
    const fault = code ?? message;
    if (fault === name.fault) return;
    name.fault = fault;
    const fields = { service: this.#options.name, name: host, fault, kept: name.addresses };
    this.#options.logger.warn(fields, "name does not resolve");
  }

  status(): NameStatus[] {
    const now = this.#options.clock.now();
    return [...this.#names].map(([name, { addresses, fault, dueAt }]) => ({
      name,
      addresses,
      fault,
      nextMs: Math.max(0, Math.round(dueAt - now)),
    }));
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#names.values()) timer?.cancel();
  }
}
