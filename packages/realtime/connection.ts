/**
 * A client's line as `socket.conn` shows it: shared by the client's sockets in all namespaces of this server. Owns the
 * events `upgrade` and `close`; the line itself is the hub's.
 */
import { EventEmitter } from "node:events";
import type { ConnectMessage } from "./session.ts";
import { callListeners } from "./user-code.ts";

type TransportName = ConnectMessage["transport"];

/** A socket of this server on the line. */
interface Holder {
  _closeLine(): void;
}

export class Connection extends EventEmitter {
  readonly id: string;
  readonly protocol = 4;
  readonly remoteAddress: string;
  readyState: "open" | "closed" = "open";
  #transport: { readonly name: TransportName };
  readonly #holders = new Set<Holder>();

  constructor(message: ConnectMessage) {
    super();
    this.id = message.connection;
    this.remoteAddress = message.handshake.address;
    this.#transport = { name: message.transport };
  }

  get transport(): { readonly name: TransportName } {
    return this.#transport;
  }

  /** Closes the line, and with it every socket on it. The client reconnects. */
  close(): void {
    // The hub finds the line by any socket that is still on it.
    for (const holder of this.#holders) {
      holder._closeLine();
      return;
    }
  }

  /** @internal */
  _upgraded(transport: TransportName): void {
    this.#transport = { name: transport };
    callListeners(this, "upgrade", [this.#transport]);
  }

  /** @internal */
  _hold(holder: Holder): void {
    this.#holders.add(holder);
  }

  /** True when nobody of this server holds it any more. @internal */
  _release(holder: Holder, reason: string): boolean {
    this.#holders.delete(holder);
    if (this.#holders.size > 0) return false;
    this.readyState = "closed";
    callListeners(this, "close", [reason]);
    return true;
  }
}
