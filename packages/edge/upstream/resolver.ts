/**
 * Owns the question what addresses a name has, and for how long: asked of the hosts file, then of DNS (with the time to
 * live of its records), then of the system's own resolver, which knows of other sources but tells no time. Refuses to
 * remember: see `upstreams.ts`.
 */
import { lookup, Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";

export interface Resolved {
  /** One or more IP addresses. */
  readonly addresses: readonly string[];
  readonly ttlMs: number;
  /** One of the questions (IPv4, IPv6) got no answer this time: addresses that are missing may be good still. */
  readonly partial?: boolean;
}

/** Rejects when the name has no address, or nobody could be asked. */
export type Resolve = (name: string) => Promise<Resolved>;

/** For what comes without a time to live. */
export const ttlDefaultMs = 30_000;

/** One at a time: the system's resolver occupies a thread of a pool of four that reads files, too, for as long as it waits. */
let lookups: Promise<unknown> = Promise.resolve();

export const systemResolve: Resolve = async (name) => {
  const listed = await fromHosts(name);
  if (listed.length > 0) return { addresses: listed, ttlMs: ttlDefaultMs };
  // RFC 6761 §6.3: never asked of DNS.
  if (!isLocalhost(name)) {
    const found = await fromDns(name);
    if (found !== null) return found;
  }
  const answer = lookups.then(() => lookup(name, { all: true, order: "ipv4first" }));
  lookups = answer.catch(() => {});
  const addresses = [...new Set((await answer).map(({ address }) => address))];
  return { addresses, ttlMs: ttlDefaultMs };
};

function isLocalhost(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost");
}

/** DNS has said that there is none. */
const denials: ReadonlySet<string> = new Set(["ENODATA", "ENOTFOUND"]);

/** Null when DNS has no address for it, or did not answer. */
async function fromDns(name: string): Promise<Resolved | null> {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  const answers = await Promise.allSettled([
    resolver.resolve4(name, { ttl: true }),
    resolver.resolve6(name, { ttl: true }),
  ]);
  const records = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  if (records.length === 0) return null;
  const addresses = [...new Set(records.map(({ address }) => address))];
  const partial = answers.some((answer) => answer.status === "rejected" && !denials.has(answer.reason.code));
  return { addresses, ttlMs: 1000 * Math.min(...records.map(({ ttl }) => ttl)), partial };
}

const hostsFile =
  process.platform === "win32" ? `${process.env["SystemRoot"]}\\System32\\drivers\\etc\\hosts` : "/etc/hosts";

async function fromHosts(name: string): Promise<string[]> {
  const text = await readFile(hostsFile, "utf8").catch(() => "");
  return addressesIn(text, name);
}

/** What a hosts file says of a name. */
export function addressesIn(hosts: string, name: string): string[] {
  const wanted = name.toLowerCase();
  const addresses = new Set<string>();
  for (const line of hosts.split("\n")) {
    const [address, ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (isIP(address!) !== 0 && names.some((each) => each.toLowerCase() === wanted)) addresses.add(address!);
  }
  return [...addresses];
}
