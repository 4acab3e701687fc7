/**
 * IP addresses, text to bytes and back. Strict: four decimal numbers without leading zeros, or RFC 4291 §2.2 with one `::`
 * and perhaps a dotted tail; no zones. Written as RFC 5952 says.
 */
import type { ProxyEndpoint } from "./contract.ts";

/** 4 or 16 bytes; null for what is no address. */
export function addressBytes(text: string): Uint8Array | null {
  if (text.includes(":")) return ipv6Bytes(text);
  const bytes = new Uint8Array(4);
  return putIpv4(text, bytes, 0) ? bytes : null;
}

/** 16 bytes, an IPv4 address as a mapped one (RFC 4291 §2.5.5.2). */
export function mapped(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 16) return bytes;
  const wide = new Uint8Array(16);
  wide.set([0xff, 0xff], 10);
  wide.set(bytes, 12);
  return wide;
}

/** 4 bytes for a mapped address, the address itself otherwise. */
export function unmapped(bytes: Uint8Array): Uint8Array {
  return isMapped(bytes) ? bytes.subarray(12) : bytes;
}

export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (isMapped(bytes)) return `::ffff:${bytes.subarray(12).join(".")}`;
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((bytes[i]! << 8) | bytes[i + 1]!);
  const { start, length } = longestZeros(groups);
  const hex = groups.map((group) => group.toString(16));
  // A single group of zeros is not shortened (RFC 5952 §4.2.2).
  if (length < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
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

/** An end's address in bytes; null when it is none. A zone is left out: it means nothing on another machine. */
export function endpointBytes({ address }: ProxyEndpoint): Uint8Array | null {
  const zone = address.indexOf("%");
  return addressBytes(zone < 0 ? address : address.slice(0, zone));
}

function putIpv4(text: string, into: Uint8Array, at: number): boolean {
  const parts = text.split(".", 5);
  if (parts.length !== 4) return false;
  for (let i = 0; i < 4; i++) {
    const part = parts[i]!;
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return false;
    into[at + i] = Number(part);
  }
  return true;
}

function ipv6Bytes(text: string): Uint8Array | null {
  if (text.length > 45) return null;
  const gap = text.indexOf("::");
  const head = new Uint8Array(16);
  if (gap < 0) return putGroups(text, head, true) === 16 ? head : null;
  const tail = new Uint8Array(16);
  const before = putGroups(text.slice(0, gap), head, false);
  const after = putGroups(text.slice(gap + 2), tail, true);
  // `::` stands for one group at least (RFC 4291 §2.2).
  if (before < 0 || after < 0 || before + after > 14) return null;
  head.set(tail.subarray(0, after), 16 - after);
  return head;
}

/** Writes groups joined by colons, the last of an address perhaps dotted; the number of bytes, or -1. */
function putGroups(text: string, into: Uint8Array, atEnd: boolean): number {
  if (text === "") return 0;
  const groups = text.split(":", 9);
  let at = 0;
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i]!;
    if (group.includes(".")) {
      if (!atEnd || i !== groups.length - 1 || at > 12 || !putIpv4(group, into, at)) return -1;
      return at + 4;
    }
    if (at > 14 || !/^[0-9a-fA-F]{1,4}$/.test(group)) return -1;
    const value = Number.parseInt(group, 16);
    into[at] = value >> 8;
    into[at + 1] = value & 0xff;
    at += 2;
  }
  return at;
}

function isMapped(bytes: Uint8Array): boolean {
  if (bytes.length !== 16 || bytes[10] !== 0xff || bytes[11] !== 0xff) return false;
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** The first of the longest runs of zeros (RFC 5952 §4.2.3). */
function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
    start += length;
  }
  return best;
}
