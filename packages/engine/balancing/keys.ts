/**
 * Owns what of a request consistent hashing goes by, and how a cookie or a parameter is found in it. Values are taken as
 * they were sent, nothing is decoded: the same bytes, the same instance. Refuses to hash.
 */
import type { FieldList, RequestHead } from "@tideway/base";
import { field } from "@tideway/wire/fields";

export type HashBy =
  /** The client's address. */
  | "address"
  /** The first line of this field. */
  | { readonly header: string }
  | { readonly cookie: string }
  /** The first parameter of that name in the query. */
  | { readonly query: string };

/** The key of a request; empty when it has none, so that no instance is better for it than another. */
export function hashKey(by: HashBy, head: RequestHead, address: string): string {
  if (by === "address") return address;
  if ("header" in by) return field(head.fields, by.header.toLowerCase()) ?? "";
  if ("cookie" in by) return cookieOf(head.fields, by.cookie);
  return parameterOf(head.query, by.query);
}

/** The value of the first cookie of that name (RFC 6265 §4.2.1), without its quotes; empty when there is none. */
export function cookieOf(fields: FieldList, name: string): string {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== "cookie") continue;
    const line = fields[i + 1]!;
    for (let from = 0; from < line.length; ) {
      const semicolon = line.indexOf(";", from);
      const to = semicolon < 0 ? line.length : semicolon;
      const equals = line.indexOf("=", from);
      if (equals >= 0 && equals < to && line.slice(from, equals).trim() === name) {
        const value = line.slice(equals + 1, to).trim();
        return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
      }
      from = to + 1;
    }
  }
  return "";
}

/** The value of the first parameter of that name; empty when there is none. `query` begins with `?`, or is empty. */
export function parameterOf(query: string, name: string): string {
  for (let from = 1; from < query.length; ) {
    const ampersand = query.indexOf("&", from);
    const to = ampersand < 0 ? query.length : ampersand;
    if (query.startsWith(name, from) && query[from + name.length] === "=" && from + name.length < to)
      return query.slice(from + name.length + 1, to);
    from = to + 1;
  }
  return "";
}
