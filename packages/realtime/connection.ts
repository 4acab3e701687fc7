/**
 * A client's line as `socket.conn` shows it: shared by the client's sockets in all namespaces of this server. Owns the
 * events `upgrade` and `close`; the line itself is the hub's.
 */
import { EventEmitter } from "node:events";
import type { ConnectMessage } from "./session.ts";
import { callListeners } from "./user-code.ts";

type TransportName = ConnectMessage["transport"];

export class Connection extends EventEmitter {
  readonly id: string;
  readonly protocol = 4;
  readonly remoteAddress: string;
  readyState: "open" | "closed" = "open";
  #transport: { readonly name: TransportName };
  readonly #end: () => void;
  /** Sockets of this server on this line. */
  #holders = 0;

  constructor(message: ConnectMessage, end: () => void) {
    super();
    this.id = message.connection;
    this.remoteAddress = message.handshake.address;
    this.#transport = { name: message.transport };
    this.#end = end;
  }

  get transport(): { readonly name: TransportName } {
    return this.#transport;
  }

  /** Closes the line, and with it every socket on it. The client reconnects. */
  close(): void {
    if (this.readyState === "open") this.#end();
  }

  /** @internal */
  _upgraded(transport: TransportName): void {
    this.#transport = { name: transport };
    callListeners(this, "upgrade", [this.#transport]);
  }

  /** @internal */
  _hold(): void {
    this.#holders++;
  }

  /** True when nobody of this server holds it any more. @internal */
  _release(reason: string): boolean {
    if (--this.#holders > 0) return false;
    this.readyState = "closed";
    callListeners(this, "close", [reason]);
    return true;
  }
}
