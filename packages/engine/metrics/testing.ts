/**
 * For tests: reads an exposition as strictly as its specification allows, and throws with the line at fault. Follows Prometheus'
 * text format 0.0.4 and OpenMetrics 1.0, and asks for what both only advise: types, help, canonical bounds, no empty lines.
 */
import { MetricsFormat } from "./exposition.ts";

export interface ReadSample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

export interface ReadFamily {
  readonly name: string;
  type: string;
  help: string;
  unit: string;
  readonly samples: ReadSample[];
}

/** Families by the name that their `TYPE` line gives. */
export type ReadMetrics = ReadonlyMap<string, ReadFamily>;

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*/;
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*/;
const numberText = /^(?:NaN|[+-]Inf|[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)$/;
/** Go's shortest form: no needless digits, an exponent of at least two. */
const canonicalBound = /^(?:\+Inf|-?\d+(?:\.\d+)?(?:e[+-]\d\d+)?)$/;

const suffixes: Readonly<Record<string, readonly string[]>> = {
  counter: ["_total"],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count"],
  info: ["_info"],
};

export function readMetrics(text: string, format: MetricsFormat): ReadMetrics {
  const isOpen = format === MetricsFormat.openmetrics;
  fail(!text.endsWith("\n"), "the last line has no end", text.slice(-80));
  fail(text.includes("\r\n"), "a line that ends with a carriage return", "");
  const lines = text.slice(0, -1).split("\n");
  if (isOpen) fail(lines.pop() !== "# EOF", "the last line is not # EOF", text.slice(-80));
  const families = new Map<string, ReadFamily>();
  let current = null as ReadFamily | null;
  for (const line of lines) {
    const described = /^# (TYPE|HELP|UNIT) (\S+) (.*)$/.exec(line);
    if (described === null) {
      fail(line === "" || line.startsWith("#"), "neither a sample nor a description", line);
      fail(current === null, "a sample before any description", line);
      readSample(current!, line, isOpen);
      continue;
    }
    const [, what, name, rest] = described as unknown as [string, string, string, string];
    if (current?.name !== name) {
      fail(families.has(name), "a family stands in two places", line);
      current = { name, type: "", help: "", unit: "", samples: [] };
      families.set(name, current);
    }
    describe(current, what, rest, line, isOpen);
  }
  for (const family of families.values()) checkFamily(family, isOpen);
  return families;
}

function fail(isWrong: boolean, what: string, where: string): void {
  if (isWrong) throw new Error(`${what}: ${where}`);
}

function describe(family: ReadFamily, what: string, rest: string, line: string, isOpen: boolean): void {
  fail(family.samples.length > 0, "a description behind samples", line);
  fail(metricName.exec(family.name)?.[0] !== family.name, "not a metric's name", line);
  const key = what.toLowerCase() as "type" | "help" | "unit";
  fail(family[key] !== "", "described twice", line);
  fail(rest === "", "an empty description", line);
  fail(key === "unit" && !isOpen, "0.0.4 knows no UNIT", line);
  if (key === "help") {
    const escaped = isOpen ? /^(?:[^\\"]|\\[\\n"])*$/ : /^(?:[^\\]|\\[\\n])*$/;
    fail(!escaped.test(rest), "help is not escaped", line);
  }
  if (key === "type") {
    const allowed = isOpen ? ["counter", "gauge", "histogram", "info"] : ["counter", "gauge", "histogram"];
    fail(!allowed.includes(rest), "an unknown type", line);
  }
  if (key === "unit") fail(!family.name.endsWith(`_${rest}`), "the name does not end in its unit", line);
  family[key] = rest;
}

function readSample(family: ReadFamily, line: string, isOpen: boolean): void {
  const name = metricName.exec(line)?.[0] ?? "";
  let at = name.length;
  fail(at === 0, "no metric's name", line);
  const labels = new Map<string, string>();
  if (line[at] === "{") {
    do {
      const label = labelName.exec(line.slice(at + 1))?.[0] ?? "";
      fail(
        label === "" || labels.has(label) || line.slice(at + 1 + label.length, at + 3 + label.length) !== '="',
        "a label's name",
        line,
      );
      at += 3 + label.length;
      const value = /^(?:[^"\\]|\\[\\"n])*/.exec(line.slice(at))![0];
      labels.set(
        label,
        value.replace(/\\(.)/g, (_, char: string) => (char === "n" ? "\n" : char)),
      );
      at += value.length + 1;
      fail(line[at - 1] !== '"', "a label's value has no end, or a wrong escape", line);
    } while (line[at] === ",");
    fail(line[at++] !== "}", "labels have no end", line);
  }
  const value = line.slice(at + 1);
  fail(line[at] !== " " || !numberText.test(value), "not one number after one space", line);
  const type = !isOpen && family.type === "counter" ? "gauge" : family.type;
  fail(!suffixes[type]!.some((suffix) => family.name + suffix === name), `a ${family.type} has no such sample`, line);
  family.samples.push({ name, labels, value: Number(value.replace("Inf", "Infinity")) });
}

function checkFamily({ name, type, help, samples }: ReadFamily, isOpen: boolean): void {
  fail(type === "" || help === "", "a family without type or help", name);
  const seen = new Set<string>();
  for (const { name: own, labels, value } of samples) {
    const key = JSON.stringify([own, ...[...labels].sort()]);
    fail(seen.has(key), "two samples with the same labels", key);
    seen.add(key);
    if (type === "counter") fail(!(value >= 0 && value < Number.POSITIVE_INFINITY), "a counter counts up from 0", key);
    if (type === "info") fail(value !== 1, "information is 1", key);
    if (labels.has("le")) fail(type !== "histogram", "le outside of a histogram", key);
  }
  if (type === "counter" && !isOpen) fail(!name.endsWith("_total"), "a counter ends in _total", name);
  if (type === "histogram") checkHistogram(name, samples, isOpen);
}

/** Its samples stand together, series by series: buckets upwards and cumulative, then sum and count. */
function checkHistogram(name: string, samples: readonly ReadSample[], isOpen: boolean): void {
  let key = "";
  let bound = Number.NEGATIVE_INFINITY;
  let last = 0;
  let next = "_bucket";
  for (const sample of samples) {
    const labels = JSON.stringify([...sample.labels].filter(([label]) => label !== "le"));
    const suffix = sample.name.slice(name.length);
    const where = `${name} ${labels}`;
    fail(suffix !== next, `${suffix} where ${next} was due`, where);
    if (suffix !== "_bucket" || bound !== Number.NEGATIVE_INFINITY) fail(labels !== key, "series are mixed", where);
    key = labels;
    if (suffix === "_bucket") {
      const text = sample.labels.get("le") ?? "";
      const le = Number(text.replace("Inf", "Infinity"));
      fail(!canonicalBound.test(text) || (isOpen && !/[.eI]/.test(text)), `le is ${text}`, where);
      fail(!(le > bound) || !Number.isInteger(sample.value) || sample.value < last, "buckets rise and cumulate", where);
      bound = le;
      last = sample.value;
      if (le === Number.POSITIVE_INFINITY) next = "_sum";
    } else if (suffix === "_sum") {
      fail(!(sample.value >= 0), "a sum is never negative", where);
      next = "_count";
    } else {
      fail(sample.value !== last, "the count is that of the last bucket", where);
      bound = Number.NEGATIVE_INFINITY;
      last = 0;
      next = "_bucket";
    }
  }
  fail(next !== "_bucket", "a histogram is cut off", name);
}

/**
 * The value of the one sample with this name and, of its labels, at least these; an empty value asks for none of that name.
 * Throws when there is none, or several.
 */
export function readValue(metrics: ReadMetrics, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const found = [...metrics.values()]
    .flatMap(({ samples }) => samples)
    .filter((sample) => sample.name === name)
    .filter((sample) => Object.entries(labels).every(([label, value]) => (sample.labels.get(label) ?? "") === value));
  if (found.length !== 1) throw new Error(`${found.length} samples are ${name} ${JSON.stringify(labels)}`);
  return found[0]!.value;
}
