/**
 * The extensions behind the addresses of version 2 (§2.2): a type of one byte, a length of two, a value. They fill what the
 * header's length leaves exactly. The checksum is checked and the padding dropped here; what the others mean is not known.
 */
import type { Tlv } from "./contract.ts";
import { crc32c } from "./crc32c.ts";
import { fault as faultOf, type ProxyFaultCode } from "./faults.ts";

/** Registered types (§2.2). `SSL` holds further ones behind its first five bytes. */
export const TlvType = {
  alpn: 0x01,
  authority: 0x02,
  crc32c: 0x03,
  noop: 0x04,
  uniqueId: 0x05,
  ssl: 0x20,
  netns: 0x30,
} as const;

export const TLV_HEAD_BYTES = 3;
const UNIQUE_ID_BYTES_MAX = 128;

const none: readonly Tlv[] = Object.freeze([]);

export type TlvsRead = { readonly tlvs: readonly Tlv[] } | { readonly fault: ReturnType<typeof faultOf> };

/** The extensions from `start` to the end of `header`, which is the whole header and nothing else. */
export function readTlvs(header: Uint8Array, start: number): TlvsRead {
  if (start === header.length) return { tlvs: none };
  const tlvs: Tlv[] = [];
  let checksumAt = -1;
  for (let at = start; at < header.length; ) {
    if (at + TLV_HEAD_BYTES > header.length) return refuse("PROXY_V2_TLV");
    const type = header[at]!;
    const length = (header[at + 1]! << 8) | header[at + 2]!;
    const from = at + TLV_HEAD_BYTES;
    at = from + length;
    if (at > header.length) return refuse("PROXY_V2_TLV");
    if (type === TlvType.uniqueId && length > UNIQUE_ID_BYTES_MAX) return refuse("PROXY_V2_TLV");
    if (type === TlvType.crc32c) {
      // Of two, each would have to leave out the other: nothing says how.
      if (length !== 4 || checksumAt !== -1) return refuse("PROXY_V2_TLV");
      checksumAt = from;
    } else if (type !== TlvType.noop) {
      tlvs.push({ type, value: new Uint8Array(header.subarray(from, at)) });
    }
  }
  if (checksumAt !== -1 && crc32c(header, checksumAt) !== uint32At(header, checksumAt))
    return refuse("PROXY_V2_CHECKSUM");
  return { tlvs };
}

function refuse(code: ProxyFaultCode): TlvsRead {
  return { fault: faultOf(code) };
}

function uint32At(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
