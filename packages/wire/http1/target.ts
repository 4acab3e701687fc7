/**
 * Request targets and authorities (RFC 9112 §3.2, RFC 3986): one normal form, so that what is matched is what is
 * forwarded. A path keeps its encoded slashes and reserved characters; letters, digits and `-._~` that were encoded
 * without need are decoded, for otherwise `/%61dmin` would pass a route for `/admin` (RFC 3986 §6.2.2.2); dot segments
 * are resolved, also when their dots were encoded.
 */
import { hexDigit } from "./bytes.ts";

export interface Authority {
  /** Lower case, without port and without a trailing dot; IPv6 in brackets. */
  readonly host: string;
  /** Lower case, with the port when one was given. */
  readonly authority: string;
}

/** `host [":" port]`; null when it is anything else. Underscores are accepted: container names hold them. */
export function parseAuthority(text: string): Authority | null {
  const lower = text.toLowerCase();
  const match = authorityPattern.exec(lower);
  if (match === null) return null;
  const name = match[1]!;
  const port = match[2] ?? "";
  if (port !== "" && Number(port) > 65_535) return null;
  if (name.startsWith("[") ? !isAddress6(name) : name.includes("..")) return null;
  const host = name.endsWith(".") ? name.slice(0, -1) : name;
  return { host, authority: port === "" ? name : `${name}:${port}` };
}

const authorityPattern = /^([a-z0-9_-][a-z0-9._-]{0,253}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{0,5}))?$/;

/** Groups of up to four digits, `::` at most once, and perhaps an IPv4 address at the end (RFC 3986 §3.2.2). */
function isAddress6(bracketed: string): boolean {
  const text = bracketed.slice(1, -1);
  const halves = text.split("::");
  if (halves.length > 2) return false;
  let count = 0;
  for (const [index, half] of halves.entries()) {
    if (half === "") continue;
    const groups = half.split(":");
    for (const [place, group] of groups.entries()) {
      const last = index === halves.length - 1 && place === groups.length - 1;
      if (/^[0-9a-f]{1,4}$/.test(group)) count++;
      else if (last && /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/.test(group)) count += 2;
      else return false;
    }
  }
  return halves.length === 2 ? count <= 7 : count === 8;
}

/** The normal form of an absolute path without query; null for a broken encoding or one of a control character. */
export function normalisePath(path: string): string | null {
  const settled = path.includes("%") ? settleEncoding(path) : path;
  if (settled === null) return null;
  return settled.includes("/.") ? resolveDots(settled) : settled;
}

function settleEncoding(path: string): string | null {
  let out = "";
  let from = 0;
  for (let at = path.indexOf("%"); at !== -1; at = path.indexOf("%", from)) {
    out += path.slice(from, at);
    const high = hexDigit[path.charCodeAt(at + 1)] ?? 0;
    const low = hexDigit[path.charCodeAt(at + 2)] ?? 0;
    if (high === 0 || low === 0) return null;
    const byte = (high - 1) * 16 + low - 1;
    if (byte < 0x20 || byte === 0x7f) return null;
    const char = String.fromCharCode(byte);
    out += /[A-Za-z0-9\-._~]/.test(char) ? char : path.slice(at, at + 3).toUpperCase();
    from = at + 3;
  }
  return out + path.slice(from);
}

/** RFC 3986 §5.2.4: what would climb above the root stays at the root. */
function resolveDots(path: string): string {
  const kept: string[] = [];
  const segments = path.split("/");
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i]!;
    const last = i === segments.length - 1;
    if (segment === "..") kept.pop();
    else if (segment !== ".") {
      kept.push(segment);
      continue;
    }
    if (last) kept.push("");
  }
  return `/${kept.join("/")}`;
}

export interface AbsoluteTarget {
  readonly authority: Authority;
  /** Not yet normalised; empty when the target has none. */
  readonly path: string;
  readonly query: string;
}

/** `http://authority[/path][?query]` (RFC 9112 §3.2.2); null for any other scheme or form. */
export function parseAbsolute(target: string): AbsoluteTarget | null {
  const match = /^https?:\/\/([^/?]*)([^?]*)(\?.*)?$/i.exec(target);
  if (match === null) return null;
  const authority = parseAuthority(match[1]!);
  return authority === null ? null : { authority, path: match[2]!, query: match[3] ?? "" };
}
