/** A line that is in this process, and the request that opened it. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { WatchableLine } from "@tideway/edge/transports";
import type { Handshake } from "@tideway/engine/hub";

/** A request as Engine.IO's users know it: with its query read, and with its response. */
export type EngineRequest = IncomingMessage & { _query?: Record<string, string>; res?: ServerResponse };

export interface LocalLine {
  readonly line: WatchableLine;
  /** Null when it has been let go. */
  request: EngineRequest | null;
  /** Somebody has seen the request, and may rely on what is on it. */
  looked: boolean;
}

/** With its query read. */
export function exposed(request: EngineRequest): EngineRequest {
  request._query ??= Object.fromEntries(new URL(request.url ?? "/", "http://localhost").searchParams);
  return request;
}

/** What is known of a request that is not in this process (any more), in the shape of Node's. */
export function rememberedRequest({ headers, url, query, address, secure }: Handshake): IncomingMessage {
  const socket = { remoteAddress: address, encrypted: secure };
  return { method: "GET", headers, url, _query: query, socket, connection: socket } as unknown as IncomingMessage;
}
