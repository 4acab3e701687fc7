/** Front door of `wire/http1`: HTTP/1.1 messages, bytes to values and back. */
import type { FieldList } from "@tideway/base";
import type { HeadLimits, RequestSink, ResponseSink } from "./contract.ts";

export type * from "./contract.ts";
export type { HttpFault, HttpFaultCode } from "./faults.ts";

/** Where a {@link RequestDecoder} stands. */
export const Phase = { idle: "idle", head: "head", body: "body", failed: "failed" } as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

export declare class RequestDecoder {
  constructor(limits: HeadLimits, sink: RequestSink);
  /** Consumes from `offset`; returns the next one. Stops after a message's end, after `halt`, or at the chunk's end. */
  decode(chunk: Buffer, offset: number): number;
  /** From within a sink's call: `decode` returns as soon as that call does. Call `decode` with the rest to go on. */
  halt(): void;
  /** idle: no byte of the next message has come; head: in the middle of one. */
  get phase(): Phase;
}

export declare class ResponseDecoder {
  constructor(limits: HeadLimits, sink: ResponseSink);
  /** Before each response: HEAD has no body, and 101 is allowed only when an upgrade was asked for. */
  begin(requestMethod: string, upgradeAsked?: boolean): void;
  /** As in RequestDecoder. Nothing is consumed after the end of the response that was begun: such bytes are a fault. */
  decode(chunk: Buffer, offset: number): number;
  /** The peer closed its side: ends a body that lasts until close, and is a fault anywhere else but between messages. */
  eof(): void;
  halt(): void;
  /** idle: nothing begun, or the response is complete. `head` also while waiting for its first byte. */
  get phase(): Phase;
}

/** How a body is delimited: a length (`content-length`) or one of these. */
export declare const Framing: { readonly chunked: -1; readonly none: -2 };

/** `prepared`: further lines, each ended by CRLF, that the caller vouches for. Framing fields in `fields` are a fault of ours. */
export declare function encodeRequestHead(method: string, target: string, fields: FieldList, framing: number, prepared?: string): string;
export declare function encodeResponseHead(status: number, fields: FieldList, framing: number, prepared?: string): string;
/** The line before a chunk's data ("1f\r\n"); after the data comes {@link chunkEnd}. */
export declare function encodeChunkHead(length: number): string;
export declare const chunkEnd: "\r\n";
/** "0\r\n", the trailers, "\r\n". */
export declare function encodeLastChunk(trailers?: FieldList): string;
