/** Engine.IO's checks of a request, in the reference's order, with that of Origin among them. Decides; answers nothing. */
import type { Exchange, FieldList } from "@tideway/base";
import type { TransportName } from "@tideway/engine/hub";
import { EngineErrorCode } from "@tideway/wire/engineio";
import type { Admission } from "./admission.ts";
import { isOriginAllowed } from "./cors.ts";
import type { OriginRule, Settings } from "./options.ts";
import { fieldOf } from "./request.ts";

/** A request on its way through the checks. */
export interface Incoming {
  readonly exchange: Exchange;
  readonly query: ReadonlyMap<string, string>;
  /** As the query says; one of ours once it is verified. */
  readonly transport: TransportName;
  /** The session that it names; empty for a handshake. */
  readonly sid: string;
  /** The client asks for a WebSocket. */
  readonly upgrade: boolean;
  /** Fields for its answer; of CORS at first. */
  readonly fields: FieldList;
  /** What the application said of it; null when it was not asked. */
  readonly admission: Admission | null;
}

export interface Refusal {
  readonly code: EngineErrorCode;
  /** Instead of the table's message. */
  readonly message?: string;
  /** What exactly was wrong, in the reference's words, where the code alone does not say. */
  readonly name?: string;
  /** Instead of the table's status, and of a WebSocket's 400. */
  readonly status?: 429 | 503;
}

/** What holds for every request. */
export function verify(incoming: Incoming, settings: Settings, rule: OriginRule): Refusal | null {
  const { exchange, transport } = incoming;
  if (!settings.transports.includes(transport)) return { code: EngineErrorCode.unknownTransport };
  if (!isOriginAllowed(settings, rule, fieldOf(exchange, "origin"), exchange.head.authority)) {
    return { code: EngineErrorCode.forbidden, message: "Origin not allowed" };
  }
  return null;
}

/** What is said where there can be no further session. Codes are Engine.IO's; it has none of its own for these. */
export const obstacles: Readonly<Record<"full" | "address", Refusal>> = {
  full: { code: EngineErrorCode.forbidden, message: "Too many sessions", status: 503 },
  address: { code: EngineErrorCode.forbidden, message: "Too many sessions from this address", status: 429 },
};

/** What holds for a request that opens a session. Its protocol version is looked at after the application's word. */
export function verifyHandshake(incoming: Incoming): Refusal | null {
  if (incoming.exchange.head.method !== "GET") return { code: EngineErrorCode.badHandshakeMethod };
  if ((incoming.transport === "websocket") !== incoming.upgrade) {
    return { code: EngineErrorCode.badRequest, name: "TRANSPORT_HANDSHAKE_ERROR" };
  }
  return null;
}

/** What holds for a request of a session whose transport is `current`; null when there is no such session. */
export function verifyContinuation(incoming: Incoming, current: TransportName | null): Refusal | null {
  if (current === null) return { code: EngineErrorCode.unknownSid };
  const { upgrade, transport, query, exchange } = incoming;
  const mismatch = upgrade ? transport !== "websocket" : transport !== current;
  if (mismatch) return { code: EngineErrorCode.badRequest, name: "TRANSPORT_MISMATCH" };
  if (query.get("EIO") !== "4") return { code: EngineErrorCode.badRequest, name: "PROTOCOL_MISMATCH" };
  const { method } = exchange.head;
  return method === "GET" || (method === "POST" && !upgrade) ? null : { code: EngineErrorCode.badRequest };
}
