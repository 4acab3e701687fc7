/**
 * From the configuration to zones: the sites' names get the listener's addresses, extra records are read, SOA and NS are
 * made up where none is given. Reports every fault with its key path; a list with a fault builds nothing. A site that no
 * configured zone covers gets a zone of its own, so that it resolves without any configuration.
 */
import type { RecordType, RecordValue } from "./contract.ts";
import { absoluteName, addressFamily, configurableTypes, NAME_LENGTH_MAX, parseRecord, zoneName } from "./records.ts";
import { parent, Zone } from "./zone.ts";

/** name (`@` for the zone itself) → type → value or values, as in a zone file. */
export type ZoneRecords = Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;

export interface ZonesOptions {
  /** Keys of the configuration's `sites`: `www.abc.test`, `www.abc.test:8080`, `*.abc.test`, `*`. */
  readonly sites: readonly string[];
  /** Where the sites are: the addresses of the listener that the outside can reach. */
  readonly addresses: readonly string[];
  /** Where this name server is; the sites' addresses unless given. */
  readonly nameServerAddresses?: readonly string[];
  readonly zones: Readonly<Record<string, ZoneRecords>>;
  /** Of every SOA: rises with each configuration, for example seconds since 1970. */
  readonly serial: number;
  /** Seconds that resolvers may keep a site's address; short, because it may move. 60 unless given. */
  readonly siteTtl?: number;
  /** The same for extra records; 300 unless given. */
  readonly recordTtl?: number;
  /** Seconds that resolvers may remember that something does not exist (RFC 2308); 60 unless given. */
  readonly negativeTtl?: number;
}

/** One fault of the configuration. `path` leads to it from `names.zones`. */
export interface ZoneFault {
  readonly path: readonly string[];
  readonly seen: string;
  readonly allowed: string;
}

interface Ttls {
  readonly site: number;
  readonly record: number;
  readonly negative: number;
}

export function buildZones(options: ZonesOptions): { zones: Map<string, Zone>; faults: ZoneFault[] } {
  const zones = new Map<string, Zone>();
  const faults: ZoneFault[] = [];
  const ttls: Ttls = {
    site: options.siteTtl ?? 60,
    record: options.recordTtl ?? 300,
    negative: options.negativeTtl ?? 60,
  };
  for (const [key, records] of Object.entries(options.zones)) {
    const origin = absoluteName(key);
    if (origin === null || origin.startsWith("*.") || zones.has(origin)) {
      faults.push({ path: [key], seen: key, allowed: "a domain name, once" });
      continue;
    }
    const zone = new Zone(origin);
    zones.set(origin, zone);
    addRecords(zone, key, records, ttls.record, faults);
  }
  const siteNames = namesOfSites(options.sites);
  // Parents first: a zone made for abc.test also covers www.abc.test.
  for (const name of siteNames.toSorted((a, b) => a.length - b.length)) {
    const origin = name.startsWith("*.") ? name.slice(2) : name;
    if (enclosing(zones, origin) === undefined) zones.set(origin, new Zone(origin));
  }
  const serverAddresses = options.nameServerAddresses ?? options.addresses;
  for (const zone of zones.values()) addAuthority(zone, serverAddresses, options.serial, ttls);
  for (const name of siteNames) {
    const zone = enclosing(zones, name)!;
    addAddresses(zone, name, options.addresses, ttls.site);
  }
  return { zones, faults };
}

/** The zone that a name belongs to: the longest origin that ends it. */
export function enclosing(zones: ReadonlyMap<string, Zone>, name: string): Zone | undefined {
  for (let up: string | undefined = name; up !== undefined; up = parent(up)) {
    const zone = zones.get(up);
    if (zone !== undefined) return zone;
  }
  return undefined;
}

function namesOfSites(sites: readonly string[]): string[] {
  const names = new Set<string>();
  for (const site of sites) {
    const host = site.startsWith("[") ? site : site.replace(/:\d+$/, "");
    // `*` is every name, and an address needs no name.
    if (host === "*" || addressFamily(host.replace(/^\[|\]$/g, "")) !== 0) continue;
    const name = absoluteName(host);
    if (name !== null) names.add(name);
  }
  return [...names];
}

function addRecords(zone: Zone, key: string, records: ZoneRecords, ttl: number, faults: ZoneFault[]): void {
  for (const [owner, byType] of Object.entries(records)) {
    const name = zoneName(owner, zone.origin);
    if ("allowed" in name || !(name.value === zone.origin || name.value.endsWith(`.${zone.origin}`))) {
      const allowed = "allowed" in name ? name.allowed : `a name within ${zone.origin}`;
      faults.push({ path: [key, owner], seen: owner, allowed });
      continue;
    }
    for (const [typeText, values] of Object.entries(byType)) {
      const type = configurableTypes.find((known) => known === typeText.toUpperCase());
      if (type === undefined) {
        faults.push({ path: [key, owner, typeText], seen: typeText, allowed: configurableTypes.join(", ") });
        continue;
      }
      for (const text of typeof values === "string" ? [values] : values) {
        const parsed = parseRecord(type, text, zone.origin);
        if ("allowed" in parsed) faults.push({ path: [key, owner, typeText], seen: text, allowed: parsed.allowed });
        else zone.add(name.value, { ...parsed.value, ttl });
      }
    }
    const fault = misplaced(zone, name.value);
    if (fault !== undefined) faults.push({ path: [key, owner], ...fault });
  }
}

/** Which records may stand together (RFC 1034 §3.6.2); delegations are not served, so NS belongs to the origin. */
function misplaced(zone: Zone, name: string): { seen: string; allowed: string } | undefined {
  const types = zone.types(name);
  const seen = types.join(", ");
  if (types.includes("NS") && name !== zone.origin) return { seen, allowed: 'NS only at "@"' };
  if (!types.includes("CNAME")) return undefined;
  if (name === zone.origin) return { seen, allowed: 'no CNAME at "@": write A and AAAA' };
  if (types.length > 1) return { seen, allowed: "CNAME alone, or other records without it" };
  return zone.find(name, "CNAME").records.length > 1 ? { seen: "several CNAME", allowed: "one CNAME" } : undefined;
}

function addAuthority(zone: Zone, addresses: readonly string[], serial: number, ttls: Ttls): void {
  const { origin } = zone;
  if (!zone.types(origin).includes("NS")) {
    const server = below(origin, "ns");
    zone.add(origin, { type: "NS", data: server, ttl: ttls.record });
    addAddresses(zone, server, addresses, ttls.record);
  }
  const server = zone.find(origin, "NS").records[0];
  const mname = server?.type === "NS" ? server.data : origin;
  const data = {
    mname,
    rname: below(origin, "hostmaster"),
    serial: serial >>> 0,
    refresh: 3600,
    retry: 600,
    expire: 604_800,
    minimum: ttls.negative,
  };
  // The SOA in a negative answer is kept no longer than its minimum (RFC 2308 §5).
  zone.add(origin, { type: "SOA", data, ttl: ttls.negative });
}

/** A name made up within a zone; the origin itself where its length leaves no room for another label. */
function below(origin: string, label: string): string {
  const name = `${label}.${origin}`;
  return name.length <= NAME_LENGTH_MAX ? name : origin;
}

/** Gives a name the addresses, unless the configuration already says where it is: what a person wrote wins. */
function addAddresses(zone: Zone, name: string, addresses: readonly string[], ttl: number): void {
  const settled: RecordType[] = ["A", "AAAA", "CNAME"];
  if (zone.types(name).some((type) => settled.includes(type))) return;
  for (const address of addresses) {
    const family = addressFamily(address);
    if (family === 0) continue;
    const value: RecordValue = { type: family === 4 ? "A" : "AAAA", data: address };
    zone.add(name, { ...value, ttl });
  }
}
