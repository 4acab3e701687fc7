/**
 * Reads the header at the start of a connection (§2): which version it is, then version 1 as one line of text (§2.1),
 * version 2 as bytes (§2.2). What can no longer become a header is a fault at once, and nothing is decoded before the header
 * is whole.
 */
import { addressText, parseAddress, portAt, portNumber } from "./addresses.ts";
import type { ProxyAddresses, ProxyEndpoint, ProxyHeader, ProxyProtocol, ProxyStep } from "./contract.ts";
import { fault as faultOf, type ProxyFaultCode } from "./faults.ts";
import { readTlvs } from "./tlv.ts";

/**
 * Bytes of a whole header, its start included, unless `decode` is told otherwise: nginx's bound. Addresses take 232 at
 * most, and senders should stay below 536; extensions with a client's certificate go beyond.
 */
export const PROXY_HEADER_BYTES_MAX = 4096;

const V1_LINE_BYTES_MAX = 107;
const V1_PREFIX = "PROXY ";
export const V2_SIGNATURE = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10);
export const V2_HEAD_BYTES = 16;
/** One path of AF_UNIX. */
export const UNIX_BYTES = 108;
const CR = 13;
const LF = 10;

const incomplete: ProxyStep = Object.freeze({ state: "incomplete" });

/**
 * `bytes` are those from the start of the connection on; they may be more than the header. Everything in the value is a
 * copy.
 */
export function decode(bytes: Uint8Array, bytesMax = PROXY_HEADER_BYTES_MAX): ProxyStep {
  if (bytes.length === 0) return incomplete;
  return bytes[0] === CR ? decodeV2(bytes, bytesMax) : decodeV1(bytes);
}

function refuse(code: ProxyFaultCode): ProxyStep {
  return { state: "fault", fault: faultOf(code) };
}

/* ------------------------------------------------------------------ version 1 */

function decodeV1(bytes: Uint8Array): ProxyStep {
  const known = Math.min(bytes.length, V1_PREFIX.length);
  for (let i = 0; i < known; i++) if (bytes[i] !== V1_PREFIX.charCodeAt(i)) return refuse("PROXY_ABSENT");
  const span = Math.min(bytes.length, V1_LINE_BYTES_MAX);
  for (let i = known; i < span; i++) {
    const byte = bytes[i];
    if (byte === LF) return refuse("PROXY_V1_LINE_END");
    if (byte !== CR) continue;
    if (i + 1 === span) break;
    if (bytes[i + 1] !== LF) return refuse("PROXY_V1_LINE_END");
    return readLine(bytes, i);
  }
  return bytes.length < V1_LINE_BYTES_MAX ? incomplete : refuse("PROXY_V1_LENGTH");
}

/** The line up to `end`, where its CRLF stands. */
function readLine(bytes: Uint8Array, end: number): ProxyStep {
  let line = "";
  for (let i = V1_PREFIX.length; i < end; i++) line += String.fromCharCode(bytes[i]!);
  const next = end + 2;
  const parts = line.split(" ");
  const protocol = parts[0];
  // Whatever follows UNKNOWN must be ignored (§2.1).
  if (protocol === "UNKNOWN") return whole(1, "PROXY", "UNSPEC", null, next);
  if (protocol !== "TCP4" && protocol !== "TCP6") return refuse("PROXY_V1_PROTOCOL");
  if (parts.length !== 5) return refuse("PROXY_V1_SHAPE");
  const family = protocol === "TCP4" ? 4 : 6;
  const source = parseAddress(parts[1]!, family);
  const destination = parseAddress(parts[2]!, family);
  if (source === "" || destination === "") return refuse("PROXY_V1_ADDRESS");
  const sourcePort = portNumber(parts[3]!);
  const destinationPort = portNumber(parts[4]!);
  if (sourcePort < 0 || destinationPort < 0) return refuse("PROXY_V1_PORT");
  const addresses = {
    source: { address: source, port: sourcePort },
    destination: { address: destination, port: destinationPort },
  };
  return whole(1, "PROXY", protocol, addresses, next);
}

/* ------------------------------------------------------------------ version 2 */

/** By the 14th byte's halves: family, then transport. */
const protocols: readonly (readonly ProxyProtocol[])[] = [
  ["UNSPEC", "UNSPEC", "UNSPEC"],
  ["UNSPEC", "TCP4", "UDP4"],
  ["UNSPEC", "TCP6", "UDP6"],
  ["UNSPEC", "UNIX", "UNIX_DGRAM"],
];

function decodeV2(bytes: Uint8Array, bytesMax: number): ProxyStep {
  const known = Math.min(bytes.length, V2_SIGNATURE.length);
  for (let i = 0; i < known; i++) if (bytes[i] !== V2_SIGNATURE[i]) return refuse("PROXY_ABSENT");
  if (bytes.length <= 12) return incomplete;
  if (bytes[12]! >> 4 !== 2) return refuse("PROXY_V2_VERSION");
  const command = bytes[12]! & 0x0f;
  if (command > 1) return refuse("PROXY_V2_COMMAND");
  if (bytes.length <= 13) return incomplete;
  const local = command === 0;
  // LOCAL: the family is ignored, whatever it is (§2.2).
  if (!local && bytes[13]! >> 4 > 3) return refuse("PROXY_V2_FAMILY");
  if (!local && (bytes[13]! & 0x0f) > 2) return refuse("PROXY_V2_TRANSPORT");
  if (bytes.length < V2_HEAD_BYTES) return incomplete;
  const next = V2_HEAD_BYTES + portAt(bytes, 14);
  if (next > bytesMax) return refuse("PROXY_V2_LENGTH");
  const protocol = local ? "UNSPEC" : protocols[bytes[13]! >> 4]![bytes[13]! & 0x0f]!;
  const addressesEnd = V2_HEAD_BYTES + addressBlockBytes(protocol);
  if (next < addressesEnd) return refuse("PROXY_V2_SHORT");
  if (bytes.length < next) return incomplete;
  const read = readTlvs(bytes.subarray(0, next), addressesEnd);
  if ("fault" in read) {
    // Without a family nobody knows how many bytes of addresses come first: what does not read as extensions is skipped.
    const known = protocol !== "UNSPEC" || read.fault.code === "PROXY_V2_CHECKSUM";
    if (known) return { state: "fault", fault: read.fault };
    return whole(2, local ? "LOCAL" : "PROXY", protocol, null, next);
  }
  return whole(2, local ? "LOCAL" : "PROXY", protocol, readAddresses(bytes, protocol), next, read.tlvs);
}

function addressBlockBytes(protocol: ProxyProtocol): number {
  if (protocol === "UNSPEC") return 0;
  if (protocol === "UNIX" || protocol === "UNIX_DGRAM") return 2 * UNIX_BYTES;
  return protocol === "TCP4" || protocol === "UDP4" ? 12 : 36;
}

function readAddresses(bytes: Uint8Array, protocol: ProxyProtocol): ProxyAddresses | null {
  const at = V2_HEAD_BYTES;
  if (protocol === "UNSPEC") return null;
  if (protocol === "UNIX" || protocol === "UNIX_DGRAM")
    return { source: unixEndpoint(bytes, at), destination: unixEndpoint(bytes, at + UNIX_BYTES) };
  const size = protocol === "TCP4" || protocol === "UDP4" ? 4 : 16;
  const ports = at + 2 * size;
  return {
    source: { address: addressText(bytes, at, size), port: portAt(bytes, ports) },
    destination: { address: addressText(bytes, at + size, size), port: portAt(bytes, ports + 2) },
  };
}

/** A path ends at its first NUL; the name of an abstract socket begins with one, and is told without its padding. */
function unixEndpoint(bytes: Uint8Array, at: number): ProxyEndpoint {
  let end = at;
  if (bytes[at] !== 0) while (end < at + UNIX_BYTES && bytes[end] !== 0) end++;
  else for (let i = at; i < at + UNIX_BYTES; i++) if (bytes[i] !== 0) end = i + 1;
  let address = "";
  for (let i = at; i < end; i++) address += String.fromCharCode(bytes[i]!);
  return { address, port: 0 };
}

function whole(
  version: 1 | 2,
  command: "PROXY" | "LOCAL",
  protocol: ProxyProtocol,
  addresses: ProxyAddresses | null,
  next: number,
  tlvs: ProxyHeader["tlvs"] = [],
): ProxyStep {
  return { state: "whole", value: { version, command, protocol, addresses, tlvs }, next };
}
