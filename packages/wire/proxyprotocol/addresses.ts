/**
 * The header's addresses: bytes to base's canonical text and back. What counts as an address is decided there.
 */
import { canonicalAddress } from "@tideway/base";

/** The address at `start`, of 4 or 16 bytes. A mapped IPv4 address is that IPv4 address. */
export function addressText(bytes: Uint8Array, start: number, size: number): string {
  if (size === 4) return bytes.subarray(start, start + 4).join(".");
  let text = "";
  for (let at = start; at < start + 16; at += 2) text += `:${portAt(bytes, at).toString(16)}`;
  return canonicalAddress(text.slice(1));
}

/** An address of version 1, in canonical text; empty when it is none of that family. A zone means nothing elsewhere. */
export function parseAddress(text: string, family: 4 | 6): string {
  if (text.includes(":") !== (family === 6) || text.includes("%")) return "";
  return canonicalAddress(text);
}

/** 4 or 16 bytes of an address in canonical text. */
export function addressBytes(canonical: string): Uint8Array {
  if (!canonical.includes(":")) return Uint8Array.from(canonical.split("."), Number);
  const [before, after] = canonical.split("::") as [string, string | undefined];
  const bytes = new Uint8Array(16);
  putGroups(before, bytes, 0);
  if (after !== undefined && after !== "") putGroups(after, bytes, 16 - 2 * after.split(":").length);
  return bytes;
}

/** 16 bytes, an IPv4 address as a mapped one (RFC 4291 §2.5.5.2). */
export function mapped(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 16) return bytes;
  const wide = new Uint8Array(16);
  wide.set([0xff, 0xff], 10);
  wide.set(bytes, 12);
  return wide;
}

/** The number of a port, or -1. */
export function portNumber(text: string): number {
  if (!/^(?:0|[1-9]\d{0,4})$/.test(text)) return -1;
  const port = Number(text);
  return port <= 0xffff ? port : -1;
}

export function portAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function putGroups(text: string, into: Uint8Array, at: number): void {
  if (text === "") return;
  for (const [i, group] of text.split(":").entries()) {
    const value = Number.parseInt(group, 16);
    into[at + 2 * i] = value >> 8;
    into[at + 2 * i + 1] = value & 0xff;
  }
}
