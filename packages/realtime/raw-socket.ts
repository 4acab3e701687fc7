/**
 * A socket of somebody else's Engine.IO server as a line of our hub: `io.bind(engine)` and `io.onconnection(socket)`. The
 * slice of `engine.io`'s socket that is used is declared here; that package is not needed.
 */
import type { IncomingMessage } from "node:http";
import type { LineObserver, WatchableLine } from "@tideway/edge/transports";
import type { Connection, DisconnectReason, Handshake, Outgoing, TransportName } from "@tideway/engine/hub";
import { type EngineRequest, exposed, type LocalLine } from "./local-line.ts";

export interface RawSocket {
  readonly id: string;
  readonly transport: { readonly name: string };
  readonly request: IncomingMessage;
  readonly remoteAddress?: string;
  on(event: "data", listener: (data: unknown) => void): unknown;
  on(event: "close", listener: (reason: string) => void): unknown;
  on(event: "upgrade", listener: () => void): unknown;
  send(data: unknown, options?: { compress?: boolean }): unknown;
  close(): unknown;
}

export interface RawEngine {
  on(event: "connection", listener: (socket: RawSocket) => void): unknown;
}

class RawLine implements WatchableLine {
  readonly id: string;
  readonly #socket: RawSocket;

  constructor(socket: RawSocket) {
    this.id = socket.id;
    this.#socket = socket;
  }

  get transport(): TransportName {
    return this.#socket.transport.name === "polling" ? "polling" : "websocket";
  }

  send({ text, attachments, compress }: Outgoing): void {
    this.#socket.send(text, { compress });
    for (const data of attachments) this.#socket.send(data, { compress });
  }

  close(): void {
    this.#socket.close();
  }

  /** Its own socket can be listened to. */
  watch(_observer: LineObserver | null): void {}
}

/** Gives the socket to the hub. */
export function openRawSocket(
  socket: RawSocket,
  lines: {
    open(line: LocalLine, handshake: Handshake): Connection;
    closed(id: string, reason: DisconnectReason): void;
  },
): void {
  const line = new RawLine(socket);
  const request = exposed(socket.request as EngineRequest);
  const connection = lines.open({ line, request, looked: true }, handshakeOf(socket, request));
  socket.on("data", (data) => {
    if (typeof data === "string") connection.text(data);
    else connection.binary(data instanceof ArrayBuffer ? new Uint8Array(data) : (data as Uint8Array));
  });
  socket.on("upgrade", () => connection.upgraded(line.transport));
  socket.on("close", (reason) => {
    connection.closed(reason as DisconnectReason);
    lines.closed(line.id, reason as DisconnectReason);
  });
}

function handshakeOf(socket: RawSocket, request: EngineRequest): Handshake {
  const { headers, url = "/" } = request;
  const connection = request.socket as { remoteAddress?: string; encrypted?: boolean } | undefined;
  const { origin, host } = headers;
  return {
    headers: headers as Handshake["headers"],
    address: socket.remoteAddress ?? connection?.remoteAddress ?? "",
    secure: connection?.encrypted === true,
    xdomain: origin !== undefined && URL.parse(origin)?.host !== host,
    url,
    query: request._query ?? {},
    issued: Date.now(),
  };
}
