/**
 * The shapes at the codec's edge: what a decoder tells its owner, and what it is bounded by. No code here.
 *
 * A decoder is fed spans of bytes, calls its sink synchronously, and returns how far it came. It never throws for what
 * a peer sent: a fault is a value, told once; after it nothing more is consumed and the owner closes.
 */
import type { FieldList, Memo, RequestHead } from "@tideway/base";
import type { HttpFault } from "./faults.ts";

/** The slice of `limits` (base) that bounds a head and a chunk line. */
export interface HeadLimits {
  readonly fieldsMax: number;
  readonly fieldBytesMax: number;
  readonly fieldsBytesMax: number;
  readonly targetBytesMax: number;
  readonly chunkLineBytesMax: number;
  /** Keep request fields whose names contain `_`; they are dropped otherwise. */
  readonly underscores?: boolean;
}

export interface RequestMeta {
  /** The client allows another request on this connection. */
  readonly keepAlive: boolean;
  /** The client waits for 100 before it sends the body. */
  readonly expectContinue: boolean;
}

/** Called by a {@link RequestDecoder}, in this order: onHead, onBody*, onEnd; onFault at any point, as the last. */
export interface RequestSink {
  onHead(head: RequestHead, meta: RequestMeta): void;
  /** A view into the span that was fed: never empty, never copied. */
  onBody(chunk: Buffer): void;
  onEnd(trailers: FieldList): void;
  onFault(fault: HttpFault): void;
}

export interface ResponseHead {
  readonly status: number;
  /** As received, names in lower case. Frozen: heads of one connection may share it. */
  readonly fields: FieldList;
  /** Shared by heads of one connection with the very same fields; absent while nobody expects another. */
  readonly memo?: Memo | undefined;
  /** Bytes of the body that follow: 0 for none (also for HEAD, 204, 304 and 101), a length, or -1 when unknown. */
  readonly bodyLength: number;
  /** What `content-length` said, -1 when it said nothing: what HEAD and 304 describe. */
  readonly contentLength: number;
  /** The server allows another request on this connection; false also when the body ends by closing. */
  readonly keepAlive: boolean;
  /** 10 or 11. */
  readonly version: number;
  /** True for a 101 that was asked for: the bytes from the returned offset on are of another protocol. */
  readonly upgrade: boolean;
}

/** Called by a {@link ResponseDecoder}: onInterim*, onHead, onBody*, onEnd; onFault at any point, as the last. */
export interface ResponseSink {
  /** 100 and 102–199. */
  onInterim(status: number, fields: FieldList): void;
  onHead(head: ResponseHead): void;
  onBody(chunk: Buffer): void;
  onEnd(trailers: FieldList): void;
  onFault(fault: HttpFault): void;
}
