/**
 * Reading field lists as the decoders make them: flat, name and value in turn, names in lower case (RFC 9110 §5).
 */
import type { FieldList } from "@tideway/base";

/** The value of the first line of that name; `undefined` when there is none. `name` is in lower case. */
export function field(fields: FieldList, name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
  return undefined;
}

/** All lines of that name as one list value (RFC 9110 §5.3), joined by `separator`; empty when there is none. */
export function joinedField(fields: FieldList, name: string, separator = ", "): string {
  let joined = "";
  let first = true;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== name) continue;
    joined = first ? fields[i + 1]! : joined + separator + fields[i + 1]!;
    first = false;
  }
  return joined;
}

/**
 * The elements of a comma-separated value, trimmed, without empty ones. A comma within a quoted string does not
 * separate (RFC 9110 §5.6.1).
 */
export function listElements(value: string): string[] {
  const elements: string[] = [];
  let from = 0;
  let quoted = false;
  for (let at = 0; at <= value.length; at++) {
    const char = value.charCodeAt(at);
    if (quoted) {
      if (char === 0x5c) at++;
      else if (char === 0x22) quoted = false;
      if (at < value.length) continue;
    } else if (char === 0x22) {
      quoted = true;
      continue;
    }
    if (at >= value.length || char === 0x2c) {
      const element = value.slice(from, at).trim();
      if (element !== "") elements.push(element);
      from = at + 1;
    }
  }
  return elements;
}
