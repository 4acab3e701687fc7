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

export interface ResolverOptions {
  /** Name servers, as `address` or `address:port`; the system's unless given. */
  readonly servers?: readonly string[];
  /** The text of the hosts file; read anew with each question unless given. */
  readonly hosts?: () => Promise<string>;
  /** The system's own resolver, which is asked last. */
  readonly system?: (name: string) => Promise<readonly string[]>;
}

export function createResolver({ servers, hosts = readHosts, system = askSystem }: ResolverOptions = {}): Resolve {
  // One at a time: it occupies a thread, of a pool of four that reads files, too, for as long as it waits.
  let turn: Promise<unknown> = Promise.resolve();
  return async (name) => {
    const listed = addressesIn(await hosts(), name);
    if (listed.length > 0) return { addresses: listed, ttlMs: ttlDefaultMs };
    // RFC 6761 §6.3: never asked of DNS.
    const found = isLocalhost(name) ? null : await fromDns(name, servers);
    if (found !== null) return found;
    const answer = turn.then(() => system(name));
    turn = answer.catch(() => {});
    return { addresses: await answer, ttlMs: ttlDefaultMs };
  };
}

/** As this machine is set up. */
export const systemResolve: Resolve = createResolver();

async function askSystem(name: string): Promise<string[]> {
  const found = await lookup(name, { all: true, order: "ipv4first" });
  return [...new Set(found.map(({ address }) => address))];
}

function isLocalhost(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost");
}

/** DNS has said that there is none. */
const denials: ReadonlySet<string> = new Set(["ENODATA", "ENOTFOUND"]);

/** Null when DNS has no address for it, or did not answer. */
async function fromDns(name: string, servers: readonly string[] | undefined): Promise<Resolved | null> {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  if (servers !== undefined) resolver.setServers(servers);
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

function readHosts(): Promise<string> {
  return readFile(hostsFile, "utf8").catch(() => "");
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
