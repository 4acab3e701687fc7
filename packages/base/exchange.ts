/**
 * The contract between whoever accepts a request and whoever answers it.
 *
 * A listener (or the adapter for Node's own `http.Server`) makes one `Exchange` per request and hands it to a target.
 * The target calls `accept` with itself, once, in the same tick; from then on the listener calls `onBody*`, `onDrain`
 * and `onClose`, and the target calls `respond`, `write` and `end`. Nothing here is a promise or a stream: the gateway's
 * hot path is plain calls, and back-pressure is `write` returning false until `onDrain`, and `pause`/`resume`.
 *
 * Order: `inform`* → `respond` → `write`* → `end`. After `end` or `abort` the target makes no further call. After
 * `onClose` every call is a harmless no-op, for the answer has nowhere to go. HTTP/1.1 and HTTP/2 yield the same.
 */

/** Field lines as a flat list: name, value, name, value … Names are lower case; order and repetition are kept. */
export type FieldList = string[];

/**
 * Where what was made of a head is left for the next head with the very same fields, for making it takes more time than
 * reading them. `by` is what it was made from besides, to be compared by whoever reads it; null while nothing was made.
 */
export interface Memo {
  by: object | null;
  made: unknown;
}

/** A request's head as parsed: nothing in it is raw, everything in it was checked (RFC 9112). */
export interface RequestHead {
  /** As sent: methods are case-sensitive (RFC 9110 §9.1). */
  readonly method: string;
  /**
   * Normalised path: begins with `/`, dot segments resolved, percent-encoding kept with upper-case digits, but undone where
   * it was needless (letters, digits, `-._~`). `*` for OPTIONS `*`.
   */
  readonly path: string;
  /** With its leading `?`; empty when there is none. */
  readonly query: string;
  /** Host name in lower case without port, IPv6 in brackets; empty only for HTTP/1.0 without Host. */
  readonly host: string;
  /** Host and port as the client gave them, in lower case: what a `host` field towards an upstream says. */
  readonly authority: string;
  /** 10 for HTTP/1.0, 11 for HTTP/1.1, 20 for HTTP/2. */
  readonly version: number;
  /** All end-to-end and hop-by-hop fields as received, names in lower case. Frozen: heads of one connection may share it. */
  readonly fields: FieldList;
  /** Shared by heads of one connection with the very same fields and authority; absent while nobody expects another. */
  readonly memo?: Memo | undefined;
  /** Bytes of the body: 0 for none, a length, or -1 when it is chunked (unknown until its end). */
  readonly bodyLength: number;
  /** The protocol that the client asks to upgrade to, in lower case; empty unless `Connection: upgrade` was well formed. */
  readonly upgrade: string;
}

/**
 * Who asks. One object per connection, shared by its exchanges; one per request where a trusted proxy stands between.
 */
export interface ClientInfo {
  /** What limits, balancing and logs go by: the connection's own, or what a trusted proxy says of its client. */
  readonly address: string;
  /** 0 when a proxy did not tell it. */
  readonly port: number;
  /** The listener's own port: what routing by port looks at. */
  readonly localPort: number;
  /** The address that the connection came to; absent when it is not known. */
  readonly localAddress?: string;
  /** True when the client's bytes came over TLS, be it only as far as the trusted proxy. */
  readonly secure: boolean;
  /** The trusted proxy that is at the other end of the connection; absent when the client itself is. */
  readonly via?: ClientInfo;
}

/** Why an exchange ended before its answer was sent. */
export const ExchangeEnd = {
  /** The client closed, or the line broke. */
  gone: "gone",
  /** The client's bytes broke the framing; the listener has answered or closed. */
  malformed: "malformed",
  /** The body made no progress, or the client did not read. */
  stalled: "stalled",
  /** The server is stopping and its patience is over. */
  stopping: "stopping",
} as const;
export type ExchangeEnd = (typeof ExchangeEnd)[keyof typeof ExchangeEnd];

/** What a target implements for one exchange. */
export interface ExchangeHandler {
  /** A piece of the request's body. The bytes are the handler's to keep: the listener does not reuse them before `flushed`. */
  onBody(chunk: Uint8Array): void;
  /** True when no byte given to `onBody` is held any more, so that its memory may be freed. Unknown: absent. */
  readonly flushed?: boolean;
  /** The body is whole. `trailers` are never merged into the fields (RFC 9112 §7.1.2). Called also when there is no body. */
  onBodyEnd(trailers: FieldList): void;
  /** What was written has left; `write` may go on. */
  onDrain(): void;
  /** The exchange ended early. At most once; never after the answer was sent whole. */
  onClose(why: ExchangeEnd): void;
}

/** What becomes of a connection after an upgrade: net.Socket fits. */
export interface ByteStream {
  readonly writableLength: number;
  readonly destroyed: boolean;
  write(bytes: Uint8Array | string, encoding?: "latin1"): boolean;
  end(): unknown;
  destroy(): unknown;
  pause(): unknown;
  resume(): unknown;
  cork(): void;
  uncork(): void;
  on(event: "data", listener: (chunk: Buffer) => void): unknown;
  on(event: "drain" | "end" | "close", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  removeAllListeners(event?: string): unknown;
}

export interface Exchange {
  /** Request id: in `X-Request-Id` of the answer, in the access log and towards the application. */
  readonly id: string;
  readonly head: RequestHead;
  readonly client: ClientInfo;
  /** For the access log: the target writes which service (and instance) answered. Empty until then. */
  service: string;
  instance: string;
  /** For the access log: the W3C trace that the request belongs to, 32 digits, where the target looks after traces. */
  trace?: string;
  /** For the access log: why a target answers with an error of its own, in a word: the code of what went wrong. */
  reason?: string;

  /**
   * Names the handler and starts the body's delivery (in a later tick, or at once when it is already here). An exchange that
   * has ended already, for a guard's limit on its body, calls `onClose` from within.
   */
  accept(handler: ExchangeHandler): void;
  /** Stops and continues the body's delivery; the client's socket is no longer read meanwhile. */
  pause(): void;
  resume(): void;

  /** An interim response, 102–199 but 101 (RFC 9110 §15.2). Dropped towards HTTP/1.0. */
  inform(status: number, fields: FieldList): void;
  /**
   * The response's head. `fields` must hold no framing or hop-by-hop fields: the listener sets `content-length`,
   * `transfer-encoding`, `connection`, `date` and `x-request-id` itself. `bodyLength` is a length, or -1 when unknown.
   * For HEAD, 204 and 304 no body follows whatever the length says; HEAD keeps the length as given.
   */
  respond(status: number, fields: FieldList, bodyLength: number): void;
  /** A piece of the response's body; false when the caller should wait for `onDrain`. The listener keeps the bytes. */
  write(chunk: Uint8Array): boolean;
  /** `write` copies pieces up to this size, so that the caller may use their memory again as soon as it returns. None: absent. */
  readonly copiesBytesMax?: number;
  /** True when no byte that was given to `write` is held any more, so that its memory may be used again. Unknown: absent. */
  readonly flushed?: boolean;
  /** The response is whole. Trailers go out only on chunked responses. */
  end(trailers?: FieldList): void;
  /** Breaks the connection, so that a cut-off answer can never look complete. */
  abort(): void;
  /**
   * Answers 101 with `fields` (or writes nothing when null: the caller sends the head itself) and hands over the
   * connection with the bytes that had already arrived behind the request. The listener forgets the connection.
   */
  upgrade(fields: FieldList | null): { stream: ByteStream; head: Uint8Array };
}

/**
 * What a listener's exchange offers besides, to whoever stands between the listener and the target: limits, counters,
 * changes to the answer's head. Everything here is called before the target answers, mostly before it is handed the exchange.
 */
export interface GuardedExchange extends Exchange {
  /** For the access log and the counters: the route's site and path as configured. Empty until somebody routed it. */
  route: string;
  /** A field for the final response, or a 101, besides the target's own. Not for framing and hop-by-hop fields. Costs nothing unless called. */
  append(name: string, value: string): void;
  /** `change` sees the target's status and fields before they are sent, and gives the fields that are; appended ones follow. */
  rewrite(change: (status: number, fields: FieldList) => FieldList): void;
  /** More bytes of the request's body than this are answered with 413, by length at once, by chunks when they come. */
  limitBody(bytesMax: number): void;
  /** Calls back once, when the exchange is over in whatever way; an upgraded one is over when its connection has closed. At once when it is over already. */
  whenOver(callback: () => void): void;
}

/** Anything that can answer: a proxy to a service, files, the real-time transports, a fixed answer. */
export interface Target {
  handle(exchange: Exchange): void;
}
