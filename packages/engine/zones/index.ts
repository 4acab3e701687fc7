/**
 * Front door of `engine/zones`: a question, the zones and what is healthy → an answer. Authoritative only: it follows
 * nothing outside its own zones. RFC 1034, 1035, 2308 (negative answers), 4592 (wildcards), 6604 (codes after aliases).
 * Knows nothing of packets, sizes, clients or rates.
 */
import { buildZones, enclosing, type ZoneFault, type ZonesOptions } from "./build.ts";
import {
  type Answer,
  CLASS_IN,
  Opcode,
  type Query,
  queryTypes,
  Rcode,
  type RecordType,
  recordTypes,
  type ZoneRecord,
} from "./contract.ts";
import { Found, type StoredRecord, type Zone } from "./zone.ts";

export type { ZoneFault, ZoneRecords, ZonesOptions } from "./build.ts";
export * from "./contract.ts";

/** Aliases followed in one answer; a loop ends here at the latest. */
const ALIASES_MAX = 8;
const NO_RECORDS: readonly ZoneRecord[] = Object.freeze([]);
const typeOfNumber = new Map<number, RecordType>(
  Object.entries(recordTypes).map(([type, number]) => [number, type as RecordType]),
);

export interface Zones {
  answer(query: Query): Answer;
  /** Origins of the zones, for a person to read. */
  readonly origins: readonly string[];
}

export interface ZoneHealth {
  /** Whether an address of a name should be given out now. When none is healthy, all are given: a guess beats silence. */
  healthy?(address: string, name: string): boolean;
}

/** Builds the zones, or says everything that is wrong with their configuration. */
export function createZones(
  options: ZonesOptions,
  health: ZoneHealth = {},
): { zones: Zones } | { faults: ZoneFault[] } {
  const { zones, faults } = buildZones(options);
  if (faults.length > 0) return { faults };
  return { zones: { answer: (query) => answer(zones, health, query), origins: [...zones.keys()] } };
}

function refuse(rcode: Rcode): Answer {
  return { rcode, authoritative: false, answers: NO_RECORDS, authorities: NO_RECORDS };
}

function answer(zones: ReadonlyMap<string, Zone>, health: ZoneHealth, query: Query): Answer {
  if (query.opcode !== Opcode.query) return refuse(Rcode.notImplemented);
  const [question] = query.questions;
  if (question === undefined || query.questions.length !== 1) return refuse(Rcode.formatError);
  if (question.class !== CLASS_IN) return refuse(Rcode.refused);
  const { type } = question;
  if (type === queryTypes.OPT) return refuse(Rcode.formatError);
  // Whole zones are nobody's business here, and ANY serves amplification more than people (RFC 8482).
  if (type === queryTypes.AXFR || type === queryTypes.IXFR) return refuse(Rcode.refused);
  if (type >= 128 && type <= 255) return refuse(Rcode.notImplemented);
  if (enclosing(zones, question.name.toLowerCase()) === undefined) return refuse(Rcode.refused);
  return search(zones, health, question.name, typeOfNumber.get(type));
}

/** Follows aliases through our own zones; the code is that of the last name (RFC 6604 §3). */
function search(
  zones: ReadonlyMap<string, Zone>,
  health: ZoneHealth,
  asked: string,
  type: RecordType | undefined,
): Answer {
  const answers: ZoneRecord[] = [];
  const seen = new Set<string>();
  let owner = asked;
  for (let name = asked.toLowerCase(); seen.size < ALIASES_MAX && !seen.has(name); ) {
    seen.add(name);
    const zone = enclosing(zones, name);
    if (zone === undefined) break;
    const { found, records } = zone.find(name, type);
    if (found === Found.noName || found === Found.noData) {
      const rcode = found === Found.noName ? Rcode.noSuchName : Rcode.noError;
      return { rcode, authoritative: true, answers, authorities: [{ type: "SOA", name: zone.origin, ...zone.soa }] };
    }
    for (const record of usable(records, health, name)) answers.push({ ...record, name: owner });
    const alias = records[0];
    if (found === Found.records || alias?.type !== "CNAME") break;
    name = alias.data;
    owner = name;
  }
  return { rcode: Rcode.noError, authoritative: true, answers, authorities: NO_RECORDS };
}

function usable(records: readonly StoredRecord[], health: ZoneHealth, name: string): readonly StoredRecord[] {
  const type = records[0]?.type;
  if (health.healthy === undefined || (type !== "A" && type !== "AAAA")) return records;
  const healthy = records.filter((record) => typeof record.data === "string" && health.healthy!(record.data, name));
  return healthy.length > 0 ? healthy : records;
}
