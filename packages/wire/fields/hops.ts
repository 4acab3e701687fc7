/**
 * What must not travel beyond one connection (RFC 9110 §7.6.1).
 */
import type { FieldList } from "@tideway/base";
import { listElements } from "./list.ts";

/** `content-length` is among them because framing is decided anew for each connection (RFC 9112 §6). */
const hopByHop: ReadonlySet<string> = new Set(
  "connection keep-alive proxy-connection te transfer-encoding upgrade content-length".split(" "),
);

/** Connection options that name no field of their own worth looking for. */
const plainOptions: ReadonlySet<string> = new Set([
  "",
  "keep-alive",
  "close",
  "upgrade",
  "Upgrade",
  "Keep-Alive",
  "Close",
]);

const nothing: ReadonlySet<string> = new Set();

/**
 * The fields that may be forwarded: without hop-by-hop fields, without framing, without those that `Connection` names,
 * and without `besides`. Order and repetition are kept. They are added to `kept`: a new list unless given.
 */
export function endToEndFields(
  fields: FieldList,
  besides: ReadonlySet<string> = nothing,
  kept: FieldList = [],
): FieldList {
  let named: Set<string> | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== "connection" || plainOptions.has(fields[i + 1]!)) continue;
    named ??= new Set();
    for (const option of listElements(fields[i + 1]!.toLowerCase())) named.add(option);
  }
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    if (hopByHop.has(name) || besides.has(name) || named?.has(name) === true) continue;
    kept.push(name, fields[i + 1]!);
  }
  return kept;
}
