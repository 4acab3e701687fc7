/**
 * Byte ranges (RFC 9110 §14): what a Range field asks of a representation of a known length. Pure.
 */

/** First and last byte, both included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

export const Asked = {
  /** No range, or one that is not understood or not worth its parts: the whole. */
  whole: "whole",
  ranges: "ranges",
  /** Understood, and all of it outside: 416. */
  unsatisfiable: "unsatisfiable",
} as const;
export type Asked = (typeof Asked)[keyof typeof Asked];

/** More than these are an attack or a fault; the whole is cheaper (RFC 9110 §14.2 allows it). */
const RANGES_MAX = 32;
const SPEC = /^(\d*)-(\d*)$/;

export function parseRange(field: string | undefined, length: number): { asked: Asked; ranges: readonly ByteRange[] } {
  const whole = { asked: Asked.whole, ranges: [] };
  const match = field === undefined ? null : /^bytes=(.+)$/i.exec(field.trim());
  if (match === null) return whole;
  const specs = match[1]!.split(",", RANGES_MAX + 1).map((spec) => spec.trim());
  if (specs.length > RANGES_MAX) return whole;
  const ranges: ByteRange[] = [];
  let total = 0;
  for (const spec of specs) {
    const parts = SPEC.exec(spec);
    if (parts === null || spec === "-") return whole;
    const range = resolve(parts[1]!, parts[2]!, length);
    if (range === "malformed") return whole;
    if (range === null) continue;
    ranges.push(range);
    total += range.last - range.first + 1;
  }
  if (ranges.length === 0) return { asked: Asked.unsatisfiable, ranges };
  // As nginx has it: ranges that together are more than the whole overlap, and the whole is sent instead.
  return ranges.length > 1 && total > length ? whole : { asked: Asked.ranges, ranges };
}

function resolve(from: string, to: string, length: number): ByteRange | null | "malformed" {
  if (from === "") {
    const suffix = Number(to);
    return suffix === 0 || length === 0 ? null : { first: Math.max(0, length - suffix), last: length - 1 };
  }
  const first = Number(from);
  if (to !== "" && Number(to) < first) return "malformed";
  if (first >= length) return null;
  return { first, last: to === "" ? length - 1 : Math.min(Number(to), length - 1) };
}
