/** Do the sites' names lead here, and the upstreams' names anywhere? Asks as any program on this machine would. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { type Finding, fault, ok, warning } from "./finding.ts";

const patienceMs = 3_000;

export interface NamePlaces {
  /** Sites' names without wildcards and ports. */
  readonly sites: readonly string[];
  /** Addresses that the listeners listen on; `0.0.0.0` and `::` mean all of this machine. */
  readonly listens: readonly string[];
  /** Host names of upstreams, with the service that has them. */
  readonly upstreams: readonly { readonly service: string; readonly host: string }[];
  /** Where Tideway's own name server listens, when the configuration has one. */
  readonly nameServer: string | null;
}

/** The addresses of a name; rejects when there are none. */
export type Lookup = (name: string) => Promise<readonly string[]>;

export const systemLookup: Lookup = async (name) => (await lookup(name, { all: true })).map(({ address }) => address);

export async function examineNames(places: NamePlaces, ask: Lookup = systemLookup): Promise<Finding[]> {
  const here = ownAddresses(places.listens);
  const sites = [...new Set(places.sites)].map((name) => examineSite(name, here, places, ask));
  const upstreams = places.upstreams
    .filter(({ host }) => isIP(host) === 0)
    .map(({ service, host }) => examineUpstream(service, host, ask));
  return await Promise.all([...sites, ...upstreams]);
}

async function examineSite(name: string, here: ReadonlySet<string>, places: NamePlaces, ask: Lookup): Promise<Finding> {
  const found = await inTime(name, ask);
  const address = [...here].find((each) => !each.includes(":")) ?? [...here][0] ?? "127.0.0.1";
  if (typeof found === "string") {
    const own = places.nameServer === null ? "" : `, or have the resolver ask ${places.nameServer} for it`;
    return warning(
      "names",
      `${name} does not resolve on this machine (${found})`,
      `Add "${address} ${name}" to /etc/hosts or to its zone${own}.`,
    );
  }
  if (found.some((each) => here.has(each))) return ok("names", `${name} leads here (${found.join(", ")})`);
  const what = `${name} leads to ${found.join(", ")}, and this listens on ${[...here].join(", ")}`;
  return warning("names", what, "Well if something in front passes its requests on; otherwise change its record.");
}

async function examineUpstream(service: string, host: string, ask: Lookup): Promise<Finding> {
  const found = await inTime(host, ask);
  if (typeof found !== "string") return ok("names", `${host} of ${service} is ${found.join(", ")}`);
  return fault(
    "names",
    `${host} of ${service} does not resolve (${found})`,
    `Mend the name in services.${service}.upstreams, or its record; until then its routes answer 503.`,
  );
}

/** Addresses, or why there are none. */
async function inTime(name: string, ask: Lookup): Promise<readonly string[] | string> {
  const late = Promise.withResolvers<string>();
  const timer = setTimeout(late.resolve, patienceMs, `no answer within ${patienceMs / 1000} s`);
  try {
    return await Promise.race([ask(name), late.promise]);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    clearTimeout(timer);
  }
}

function ownAddresses(listens: readonly string[]): Set<string> {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const addresses = new Set<string>();
  for (const host of listens) {
    if (host === "localhost") addresses.add("127.0.0.1").add("::1");
    else if (host !== "0.0.0.0" && host !== "::") addresses.add(host);
    else for (const { address, family } of all) if (host === "::" || family === "IPv4") addresses.add(address);
  }
  return addresses;
}
