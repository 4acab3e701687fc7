/**
 * From values to the text that a scraper reads: Prometheus' text format 0.0.4, or OpenMetrics 1.0 for those who ask for it.
 * Owns grouping (all samples of a family stand together), escaping and the spelling of numbers. One per scrape.
 */
import { assert } from "@tideway/base";
import { baseName, type Family, type Labels } from "./families.ts";
import type { Histogram } from "./histogram.ts";

export const MetricsFormat = { prometheus: "prometheus", openmetrics: "openmetrics" } as const;
export type MetricsFormat = (typeof MetricsFormat)[keyof typeof MetricsFormat];

export const metricsContentTypes: Readonly<Record<MetricsFormat, string>> = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** Where those who know something put it when a scrape asks. */
export interface Samples {
  /** One value; `labels` are unique within the family. */
  add(family: Family, value: number, labels?: Labels): void;
  /** `scale` turns what was measured into the family's unit: 0.001 for milliseconds. */
  addHistogram(family: Family, measured: Histogram, labels?: Labels, scale?: number): void;
}

/**
 * Something that knows values. It may return an iterator instead of putting all of them in at once: whoever scrapes may
 * let other work go first at each of its steps.
 */
export type MetricsSource = (samples: Samples) => Iterable<void> | void;

/** Characters of a piece of a text that is sent piece by piece. */
const pieceLength = 64 * 1024;

export class Exposition implements Samples {
  readonly #format: MetricsFormat;
  readonly #families = new Map<Family, string[]>();
  readonly #bounds = new Map<readonly number[], readonly string[]>();

  constructor(format: MetricsFormat) {
    this.#format = format;
  }

  add(family: Family, value: number, labels: Labels = {}): void {
    assert(family.kind !== "histogram", `${family.name} has buckets`);
    this.#append(family, `${family.name}${inBraces(labelText(labels))} ${numberText(value)}\n`);
  }

  addHistogram(family: Family, measured: Histogram, labels: Labels = {}, scale = 1): void {
    assert(family.kind === "histogram", `${family.name} has no buckets`);
    const { name } = family;
    const own = labelText(labels);
    const start = `${name}_bucket{${own === "" ? "" : `${own},`}le="`;
    let text = "";
    let count = 0;
    for (const [bucket, bound] of this.#boundTexts(measured.bounds, scale).entries()) {
      count += measured.countIn(bucket);
      text += `${start}${bound}"} ${count}\n`;
    }
    this.#append(
      family,
      `${text}${name}_sum${inBraces(own)} ${measured.sum * scale}\n${name}_count${inBraces(own)} ${count}\n`,
    );
  }

  /** Everything that was put in, family by family in the order of their first samples. */
  text(): string {
    return [...this.pieces()].join("");
  }

  /** The same in pieces of about `pieceLength`: a long text is sent without holding up everyone else. */
  *pieces(): Iterable<string> {
    let piece = "";
    for (const [family, samples] of this.#families) {
      piece += this.#head(family);
      for (const lines of samples) {
        piece += lines;
        if (piece.length < pieceLength) continue;
        yield piece;
        piece = "";
      }
    }
    if (this.#format === MetricsFormat.openmetrics) piece += "# EOF\n";
    if (piece !== "") yield piece;
  }

  #append(family: Family, lines: string): void {
    const known = this.#families.get(family);
    if (known === undefined) this.#families.set(family, [lines]);
    else known.push(lines);
  }

  #head(family: Family): string {
    const { name, kind, unit, help } = family;
    if (this.#format === MetricsFormat.prometheus) {
      // It knows no information: that is a gauge which is always 1.
      return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${kind === "info" ? "gauge" : kind}\n`;
    }
    const base = baseName(family);
    return `# TYPE ${base} ${kind}\n${unit === "" ? "" : `# UNIT ${base} ${unit}\n`}# HELP ${base} ${escapeLabel(help)}\n`;
  }

  #boundTexts(bounds: readonly number[], scale: number): readonly string[] {
    let texts = this.#bounds.get(bounds);
    if (texts === undefined) {
      const isFloat = this.#format === MetricsFormat.openmetrics;
      texts = [...bounds.map((bound) => boundText(bound * scale, isFloat)), "+Inf"];
      this.#bounds.set(bounds, texts);
    }
    return texts;
  }
}

/**
 * A bucket's bound as Go writes it, since scrapers compare the text: an exponent below 0.0001 and from a million on, of two
 * digits at least; in OpenMetrics with a decimal point or an exponent in any case.
 */
export function boundText(bound: number, isFloat: boolean): string {
  // Sixteen digits would show what the scale did to 0.005.
  const value = Number(bound.toPrecision(12));
  const exponent = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  if (exponent < -4 || exponent >= 6) return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  const text = String(value);
  return isFloat && !text.includes(".") ? `${text}.0` : text;
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}

function labelText(labels: Labels): string {
  let text = "";
  for (const name in labels) {
    const value = labels[name]!;
    if (value !== "") text += `${text === "" ? "" : ","}${name}="${escapeLabel(value)}"`;
  }
  return text;
}

function inBraces(labels: string): string {
  return labels === "" ? "" : `{${labels}}`;
}

const escaped: Readonly<Record<string, string>> = { "\\": "\\\\", '"': '\\"', "\n": "\\n" };

/** Lone surrogates have no bytes in UTF-8, and a scraper refuses the whole text for one of them. */
function escapeLabel(value: string): string {
  return /[\\"\n\ud800-\udfff]/.test(value)
    ? value.toWellFormed().replace(/[\\"\n]/g, (char) => escaped[char]!)
    : value;
}

function escapeHelp(help: string): string {
  return help.replace(/[\\\n]/g, (char) => escaped[char]!);
}

/** The format that an `Accept` field asks for: OpenMetrics only when it is preferred by name, for text is what all can read. */
export function metricsFormatFor(accept: string): MetricsFormat {
  let openmetrics = 0;
  let text = 0;
  for (const range of accept.toLowerCase().split(",")) {
    const [type, ...parameters] = range.split(";").map((part) => part.trim());
    const parameter = (name: string) => parameters.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);
    const given = Number(parameter("q") ?? 1);
    const weight = given >= 0 && given <= 1 ? given : 0;
    const version = parameter("version") ?? "1.0.0";
    if (type === "application/openmetrics-text" && version === "1.0.0") openmetrics = Math.max(openmetrics, weight);
    if (type === "text/plain" || type === "text/*") text = Math.max(text, weight);
  }
  return openmetrics > 0 && openmetrics >= text ? MetricsFormat.openmetrics : MetricsFormat.prometheus;
}
