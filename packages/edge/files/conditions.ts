/**
 * Conditional requests: what the client has, against what there is, in the order of RFC 9110 §13.2.2. Pure: fields and
 * validators in, a verdict out.
 */
import type { FieldList } from "@tideway/base";
import { field, joinedField, parseHttpDate } from "@tideway/wire/fields";

/** Validators of the representation that would be sent. */
export interface Validators {
  /** With its quotes, and `W/` when weak. */
  readonly etag: string;
  /** Milliseconds since the epoch, whole seconds. */
  readonly lastModifiedMs: number;
}

export const Verdict = {
  /** Send it (the range, if one was asked for). */
  send: "send",
  /** Send it whole: the range was for another version. */
  sendWhole: "send-whole",
  notModified: "not-modified",
  preconditionFailed: "precondition-failed",
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** For GET and HEAD, on something that exists. `nowMs` is the time of day, for dates with two digits of a year. */
export function judge(fields: FieldList, validators: Validators, nowMs: number): Verdict {
  const { etag, lastModifiedMs } = validators;
  const date = (name: string) => parseHttpDate(field(fields, name) ?? "", nowMs);
  const ifMatch = joinedField(fields, "if-match");
  if (ifMatch !== "") {
    if (!listHolds(ifMatch, etag, strongly)) return Verdict.preconditionFailed;
  } else {
    const since = date("if-unmodified-since");
    if (since !== undefined && lastModifiedMs > since) return Verdict.preconditionFailed;
  }
  const ifNoneMatch = joinedField(fields, "if-none-match");
  if (ifNoneMatch !== "") {
    if (listHolds(ifNoneMatch, etag, weakly)) return Verdict.notModified;
  } else {
    const since = date("if-modified-since");
    if (since !== undefined && lastModifiedMs <= since) return Verdict.notModified;
  }
  const ifRange = field(fields, "if-range");
  return ifRange === undefined || rangeHolds(ifRange, validators, nowMs) ? Verdict.send : Verdict.sendWhole;
}

/** If-Range takes one strong tag or the exact date (RFC 9110 §13.1.5). */
function rangeHolds(ifRange: string, { etag, lastModifiedMs }: Validators, nowMs: number): boolean {
  return ifRange.includes('"') ? strongly(ifRange.trim(), etag) : parseHttpDate(ifRange, nowMs) === lastModifiedMs;
}

const strongly = (a: string, b: string): boolean => a === b && !a.startsWith("W/");
const opaque = (tag: string): string => (tag.startsWith("W/") ? tag.slice(2) : tag);
const weakly = (a: string, b: string): boolean => opaque(a) === opaque(b);

const ENTITY_TAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;

function listHolds(list: string, etag: string, same: (a: string, b: string) => boolean): boolean {
  if (list.trim() === "*") return true;
  return list.match(ENTITY_TAG)?.some((tag) => same(tag, etag)) === true;
}
