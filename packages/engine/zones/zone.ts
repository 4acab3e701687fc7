/**
 * One zone: its records by name, and the search of RFC 1034 §4.3.2 with wildcards as RFC 4592 has them. Names come in
 * lower case and belong to the zone. Knows nothing of other zones, of letter case or of the configuration.
 */
import type { RecordType, RecordValue, StartOfAuthority } from "./contract.ts";

export type StoredRecord = RecordValue & { readonly ttl: number };
type RecordSets = Map<RecordType, StoredRecord[]>;

/** What a name has: records (perhaps none of the asked type), or nothing at all. */
export const Found = {
  records: "records",
  alias: "alias",
  noData: "no-data",
  noName: "no-name",
} as const;
export type Found = (typeof Found)[keyof typeof Found];

export interface Lookup {
  readonly found: Found;
  readonly records: readonly StoredRecord[];
}

const NOTHING: readonly StoredRecord[] = Object.freeze([]);
const NO_NAME: Lookup = Object.freeze({ found: Found.noName, records: NOTHING });
const NO_DATA: Lookup = Object.freeze({ found: Found.noData, records: NOTHING });

export class Zone {
  readonly origin: string;
  readonly #names = new Map<string, RecordSets>();

  constructor(origin: string) {
    this.origin = origin;
    this.#names.set(origin, new Map());
  }

  /** Adds a record; names between it and the origin come to exist without records (empty non-terminals). */
  add(name: string, record: StoredRecord): void {
    const sets = this.#node(name);
    const set = sets.get(record.type);
    if (set === undefined) sets.set(record.type, [record]);
    else set.push(record);
    for (let up = parent(name); up !== undefined && up.length > this.origin.length; up = parent(up)) this.#node(up);
  }

  types(name: string): RecordType[] {
    return [...(this.#names.get(name)?.keys() ?? [])];
  }

  get soa(): { ttl: number; data: StartOfAuthority } {
    const record = this.#names.get(this.origin)?.get("SOA")?.[0];
    if (record?.type !== "SOA") throw new Error(`zone ${this.origin} has no SOA`);
    return record;
  }

  /** `type` is undefined for one that no zone holds: the name may still exist, or be an alias. */
  find(name: string, type: RecordType | undefined): Lookup {
    const sets = this.#names.get(name) ?? this.#wildcard(name);
    if (sets === undefined) return NO_NAME;
    const exact = type === undefined ? undefined : sets.get(type);
    if (exact !== undefined) return { found: Found.records, records: exact };
    const alias = sets.get("CNAME");
    return alias === undefined ? NO_DATA : { found: Found.alias, records: alias };
  }

  /** The `*` below the closest encloser, and no other: an existing name in between hides it (RFC 4592 §3.3). */
  #wildcard(name: string): RecordSets | undefined {
    for (let up = parent(name); up !== undefined; up = parent(up)) {
      if (this.#names.has(up)) return this.#names.get(`*.${up}`);
    }
    return undefined;
  }

  #node(name: string): RecordSets {
    let sets = this.#names.get(name);
    if (sets === undefined) {
      sets = new Map();
      this.#names.set(name, sets);
    }
    return sets;
  }
}

/** The name without its first label; undefined when there is no label left to drop. */
export function parent(name: string): string | undefined {
  const dot = name.indexOf(".");
  return dot < 0 ? undefined : name.slice(dot + 1);
}
