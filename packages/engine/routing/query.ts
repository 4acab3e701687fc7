/**
 * Owns the reading of a query, parameter by parameter, without making a table of it: only routes with conditions on the
 * query look, and they look for one name. Names and values as forms write them (WHATWG URL, application/x-www-form-urlencoded):
 * `&` separates, `+` is a space, percent-encoded UTF-8; a broken encoding stands for itself.
 */

/** A parameter that was found, and where the look for the next of its name begins. */
export interface Parameter {
  readonly value: string;
  readonly next: number;
}

/**
 * The first parameter `name` at or behind `from`; null when there is no more. `from` is 1, behind the `?`, for the first
 * look. One without `=` has an empty value.
 */
export function parameter(query: string, name: string, from: number): Parameter | null {
  let start = from;
  while (start < query.length) {
    const stop = query.indexOf("&", start);
    const end = stop === -1 ? query.length : stop;
    const value = valueIn(query.slice(start, end), name);
    if (value !== null) return { value, next: end + 1 };
    start = end + 1;
  }
  return null;
}

function valueIn(part: string, name: string): string | null {
  if (part.includes("%") || part.includes("+")) {
    // A leading `&` keeps a leading `?`, which is part of the name here, from being dropped.
    for (const [key, value] of new URLSearchParams(`&${part}`)) return key === name ? value : null;
    return null;
  }
  if (!part.startsWith(name)) return null;
  if (part.length === name.length) return "";
  return part.charCodeAt(name.length) === 0x3d ? part.slice(name.length + 1) : null;
}
