/**
 * Which of a target's fields are sent. Those that the listener sets itself are not; a list that was written once holds none.
 */
import type { FieldList } from "@tideway/base";
import { writtenOnce } from "@tideway/wire/http1";

/** Hop-by-hop fields and the request id are the listener's to set: a target that copied an upstream's may hold some. */
const listenersOwn: ReadonlySet<string> = new Set(["connection", "keep-alive", "proxy-connection", "x-request-id"]);

export function ownFieldsOnly(fields: FieldList): FieldList {
  if (writtenOnce(fields) !== undefined) return fields;
  let clean = true;
  for (let i = 0; i < fields.length; i += 2) if (listenersOwn.has(fields[i]!)) clean = false;
  if (clean) return fields;
  const kept: FieldList = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (!listenersOwn.has(fields[i]!)) kept.push(fields[i]!, fields[i + 1]!);
  }
  return kept;
}

export function isDated(fields: FieldList): boolean {
  return writtenOnce(fields)?.dated ?? hasName(fields, "date");
}

export function hasName(fields: FieldList, name: string): boolean {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return true;
  return false;
}
