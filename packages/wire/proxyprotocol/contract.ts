/**
 * The shapes at the codec's edge: what a header says, and what became of reading one. No code here.
 */
import type { ProxyFault } from "./faults.ts";

/** One end of the connection that is relayed. */
export interface ProxyEndpoint {
  /**
   * An IP address as base's `canonicalAddress` has it: a mapped IPv4 address is that IPv4 address, also in TCP6. For UNIX
   * a path as latin1 text, empty for an unnamed socket and with a leading NUL for an abstract one.
   */
  readonly address: string;
  /** 0 for UNIX. */
  readonly port: number;
}

export interface ProxyAddresses {
  readonly source: ProxyEndpoint;
  readonly destination: ProxyEndpoint;
}

/** `UNSPEC` stands for UNKNOWN in version 1 and for every combination with an unspecified part in version 2. */
export type ProxyProtocol = "TCP4" | "TCP6" | "UDP4" | "UDP6" | "UNIX" | "UNIX_DGRAM" | "UNSPEC";

/** An extension of version 2: type, length, value (§2.2). The bytes are a copy. */
export interface Tlv {
  readonly type: number;
  readonly value: Uint8Array;
}

export interface ProxyHeader {
  readonly version: 1 | 2;
  /** LOCAL: the proxy speaks for itself, as in a health check; always without addresses. */
  readonly command: "PROXY" | "LOCAL";
  readonly protocol: ProxyProtocol;
  /** Null for LOCAL and UNSPEC: the connection's own ends are to be used. */
  readonly addresses: ProxyAddresses | null;
  /** As sent, without padding (NOOP) and checksum. Empty in version 1. */
  readonly tlvs: readonly Tlv[];
}

export type ProxyStep =
  /** The header is whole, and what is relayed begins at `next`. */
  | { readonly state: "whole"; readonly value: ProxyHeader; readonly next: number }
  /** A header so far; call again with more bytes behind these. */
  | { readonly state: "incomplete" }
  | { readonly state: "fault"; readonly fault: ProxyFault };
