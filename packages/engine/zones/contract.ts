/**
 * The words of the zones room: what a question is, and what an answer holds. Names follow RFC 1034/1035; records carry
 * values, never wire bytes. Knows nothing of packets, sockets or EDNS.
 */

export const Opcode = { query: 0 } as const;

/** Response codes (RFC 1035 §4.1.1, RFC 6891 §9 for `badVersion`). */
export const Rcode = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  noSuchName: 3,
  notImplemented: 4,
  refused: 5,
  badVersion: 16,
} as const;
export type Rcode = (typeof Rcode)[keyof typeof Rcode];

/** Types that a zone may hold, with their numbers on the wire. */
export const recordTypes = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  CAA: 257,
} as const;
export type RecordType = keyof typeof recordTypes;

/** Types that only a question may name. */
export const queryTypes = { OPT: 41, IXFR: 251, AXFR: 252, ANY: 255 } as const;
export const CLASS_IN = 1;

export interface StartOfAuthority {
  readonly mname: string;
  readonly rname: string;
  readonly serial: number;
  readonly refresh: number;
  readonly retry: number;
  readonly expire: number;
  readonly minimum: number;
}

/** A record's value by type. Names are absolute, in lower case, without the final dot. */
export type RecordValue =
  | { readonly type: "A" | "AAAA" | "CNAME" | "NS" | "PTR"; readonly data: string }
  | { readonly type: "TXT"; readonly data: readonly string[] }
  | { readonly type: "MX"; readonly data: { readonly preference: number; readonly exchange: string } }
  | {
      readonly type: "SRV";
      readonly data: {
        readonly priority: number;
        readonly weight: number;
        readonly port: number;
        readonly target: string;
      };
    }
  | { readonly type: "CAA"; readonly data: { readonly flags: number; readonly tag: string; readonly value: string } }
  | { readonly type: "SOA"; readonly data: StartOfAuthority };

/** A record in an answer: owner, seconds that a resolver may keep it, and the value. */
export type ZoneRecord = RecordValue & { readonly name: string; readonly ttl: number };

/**
 * One question. `name` is as asked, letter case included, without the final dot; empty is the root. A byte of a label
 * that is no plain character stands as `\DDD`, so that the dots part the labels and nothing else.
 */
export interface Question {
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

export interface Query {
  readonly opcode: number;
  readonly questions: readonly Question[];
}

export interface Answer {
  readonly rcode: Rcode;
  /** The AA bit: the answer comes from a zone of ours. */
  readonly authoritative: boolean;
  readonly answers: readonly ZoneRecord[];
  readonly authorities: readonly ZoneRecord[];
}
