/**
 * Writes the header that goes ahead of a connection: version 1 as a line, version 2 as bytes. A sender sends it at once,
 * before anything else. Addresses that are none are our own faults, and thrown.
 */
import { assert, canonicalAddress } from "@tideway/base";
import { addressBytes, mapped } from "./addresses.ts";
import type { ProxyAddresses, ProxyEndpoint, Tlv } from "./contract.ts";
import { crc32c } from "./crc32c.ts";
import { UNIX_BYTES, V2_HEAD_BYTES, V2_SIGNATURE } from "./decode.ts";
import { TLV_HEAD_BYTES, TlvType } from "./tlv.ts";

export interface V2Options {
  /** How the client came: `stream` (TCP) unless given. */
  readonly transport?: "stream" | "datagram";
  /** The addresses are paths of UNIX sockets. */
  readonly unix?: boolean;
  readonly tlvs?: readonly Tlv[];
  /** Adds a CRC32c of the header (§2.2.3). */
  readonly checksum?: boolean;
}

/**
 * Version 1. TCP4 when both ends are IPv4 (mapped addresses count as such), otherwise TCP6 with an IPv4 end mapped. Null, when
 * the ends are not known, gives UNKNOWN, which some receivers refuse (§2.1).
 */
export function encodeV1(addresses: ProxyAddresses | null): Buffer {
  if (addresses === null) return Buffer.from("PROXY UNKNOWN\r\n", "latin1");
  const source = canonical(addresses.source);
  const destination = canonical(addresses.destination);
  const wide = source.includes(":") || destination.includes(":");
  const text = (address: string): string => (wide && !address.includes(":") ? `::ffff:${address}` : address);
  const ends = `${text(source)} ${text(destination)} ${portOf(addresses.source)} ${portOf(addresses.destination)}`;
  return Buffer.from(`PROXY ${wide ? "TCP6" : "TCP4"} ${ends}\r\n`, "latin1");
}

/** Version 2. Families as in {@link encodeV1}; null gives LOCAL: the connection is the proxy's own, as for a health check. */
export function encodeV2(addresses: ProxyAddresses | null, options: V2Options = {}): Buffer {
  const block = addresses === null ? { family: 0, bytes: Buffer.alloc(0) } : addressBlock(addresses, options);
  const tlvs = [...(options.tlvs ?? [])];
  if (options.checksum === true) tlvs.push({ type: TlvType.crc32c, value: new Uint8Array(4) });
  let tlvBytes = 0;
  for (const { value } of tlvs) tlvBytes += TLV_HEAD_BYTES + value.length;
  const length = block.bytes.length + tlvBytes;
  assert(length <= 0xffff, "a PROXY header fits its length");

  const header = Buffer.alloc(V2_HEAD_BYTES + length);
  header.set(V2_SIGNATURE);
  header[12] = addresses === null ? 0x20 : 0x21;
  const transport = options.transport === "datagram" ? 2 : 1;
  header[13] = addresses === null ? 0 : (block.family << 4) | transport;
  header.writeUInt16BE(length, 14);
  header.set(block.bytes, V2_HEAD_BYTES);
  let at = V2_HEAD_BYTES + block.bytes.length;
  for (const { type, value } of tlvs) {
    header[at] = type;
    header.writeUInt16BE(value.length, at + 1);
    header.set(value, at + TLV_HEAD_BYTES);
    at += TLV_HEAD_BYTES + value.length;
  }
  if (options.checksum === true) header.writeUInt32BE(crc32c(header, at - 4), at - 4);
  return header;
}

function addressBlock(addresses: ProxyAddresses, options: V2Options): { family: number; bytes: Buffer } {
  if (options.unix === true) {
    const bytes = Buffer.alloc(2 * UNIX_BYTES);
    putPath(addresses.source, bytes, 0);
    putPath(addresses.destination, bytes, UNIX_BYTES);
    return { family: 3, bytes };
  }
  const { source, destination } = ipPair(addresses);
  const size = source.length;
  const bytes = Buffer.alloc(2 * size + 4);
  bytes.set(source, 0);
  bytes.set(destination, size);
  bytes.writeUInt16BE(portOf(addresses.source), 2 * size);
  bytes.writeUInt16BE(portOf(addresses.destination), 2 * size + 2);
  return { family: size === 4 ? 1 : 2, bytes };
}

/** Both ends in one family: a header has room for one only. */
function ipPair(addresses: ProxyAddresses): { source: Uint8Array; destination: Uint8Array } {
  const source = addressBytes(canonical(addresses.source));
  const destination = addressBytes(canonical(addresses.destination));
  if (source.length === destination.length) return { source, destination };
  return { source: mapped(source), destination: mapped(destination) };
}

function canonical({ address }: ProxyEndpoint): string {
  const text = canonicalAddress(address);
  assert(text !== "", "both ends have IP addresses");
  return text;
}

function portOf({ port }: ProxyEndpoint): number {
  assert(Number.isInteger(port) && port >= 0 && port <= 0xffff, "a port is a number up to 65535");
  return port;
}

function putPath({ address }: ProxyEndpoint, into: Buffer, at: number): void {
  assert(address.length <= UNIX_BYTES, "a UNIX socket's path has 108 bytes at most");
  into.write(address, at, "latin1");
}
