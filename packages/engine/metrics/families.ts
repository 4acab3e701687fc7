/**
 * What a metric is before it has a value: its name in Prometheus' spelling, its kind, its unit, what it says. Names that
 * OpenTelemetry's conventions have are theirs (dots become `_`, the unit becomes a suffix, counters end in `_total`);
 * the others begin with `tideway_`. Refuses names that a scraper would refuse, so that a wrong one fails when it is written.
 */
import { assert } from "@tideway/base";

export type FamilyKind = "counter" | "gauge" | "histogram" | "info";

/** What a measured number counts; empty for plain numbers of things. */
export type Unit = "" | "seconds" | "bytes" | "ratio";

export interface Family {
  /** As scraped: counters with `_total`, information with `_info`, histograms without any of their suffixes. */
  readonly name: string;
  readonly kind: FamilyKind;
  readonly unit: Unit;
  /** One sentence for a person, without a full stop. */
  readonly help: string;
}

/** Label to value; an empty value is as good as none, and is left out. */
export type Labels = Readonly<Record<string, string>>;

const namePattern = /^[a-z][a-z0-9_]*$/;

export function counter(name: string, help: string, unit: Unit = ""): Family {
  assert(name.endsWith("_total"), `the counter ${name} ends in _total`);
  return family({ name, kind: "counter", unit, help });
}

export function gauge(name: string, help: string, unit: Unit = ""): Family {
  assert(!/_(?:total|bucket|sum|created|info)$/.test(name), `the gauge ${name} has no suffix of another kind`);
  return family({ name, kind: "gauge", unit, help });
}

export function histogram(name: string, help: string, unit: Unit): Family {
  return family({ name, kind: "histogram", unit, help });
}

/** Text that does not change while the process lives, as labels of a 1. */
export function info(name: string, help: string): Family {
  assert(name.endsWith("_info"), `${name} ends in _info`);
  return family({ name, kind: "info", unit: "", help });
}

function family(given: Family): Family {
  const { name, unit } = given;
  assert(namePattern.test(name), `${name} is a metric's name`);
  assert(unit === "" || baseName(given).endsWith(`_${unit}`), `${name} ends in its unit, ${unit}`);
  return Object.freeze(given);
}

/** The name without what its kind adds to it: what OpenMetrics calls the family's name. */
export function baseName({ name, kind }: Family): string {
  if (kind === "counter") return name.slice(0, -"_total".length);
  return kind === "info" ? name.slice(0, -"_info".length) : name;
}
