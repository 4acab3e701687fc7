/**
 * One client's line as the hub sees it: puts packets together, checks that each has its place, and says what they mean.
 * Whatever has no place ends the connection, as in the reference; packets for a namespace that the server has just ended
 * may have been under way, and are passed over.
 */
import type { Timer } from "@tideway/base";
import { type Assembled, type Packet, PacketAssembly, PacketType } from "@tideway/wire/socketio";
import type { Connection, DisconnectReason, Handshake, Line, Payload, TransportName } from "./contract.ts";
import type { HubLimits } from "./limits.ts";
import type { Outbox } from "./outbox.ts";
import type { ClientLine, HubSocket, Seat } from "./socket.ts";

export interface ConnectionEvents {
  onConnect(connection: ClientConnection, namespace: string, auth: string): void;
  onEvent(socket: HubSocket, payload: Payload, id: number | null): void;
  onAnswer(socket: HubSocket, id: number, payload: Payload): void;
  onLeave(socket: HubSocket): void;
  onUpgraded(connection: ClientConnection, transport: TransportName): void;
  /** The client did something that the protocol does not allow. */
  onFault(connection: ClientConnection, reason: DisconnectReason, what: string): void;
  onClosed(connection: ClientConnection, reason: DisconnectReason): void;
}

export class ClientConnection implements Connection, ClientLine {
  readonly line: Line;
  readonly handshake: Handshake;
  readonly sockets = new Map<string, HubSocket>();
  /** The server that let the line in; null when nobody was asked. */
  home: Seat | null = null;
  /** Servers whose sockets have left the line, which goes on. */
  former: Set<Seat> | null = null;
  closedAlready = false;
  /** Runs until the client is in a namespace. */
  timer: Timer | null = null;
  /** Namespaces that ended from the server's side: the client may not know yet. */
  #endedNamespaces: Set<string> | null = null;
  readonly #assembly: PacketAssembly;
  readonly #limits: HubLimits;
  readonly #outbox: Outbox;
  readonly #events: ConnectionEvents;

  constructor(line: Line, handshake: Handshake, limits: HubLimits, outbox: Outbox, events: ConnectionEvents) {
    this.line = line;
    this.handshake = handshake;
    this.#limits = limits;
    this.#outbox = outbox;
    this.#events = events;
    const { attachmentsMax, namespaceLengthMax } = limits;
    this.#assembly = new PacketAssembly({ attachmentsMax, namespaceLengthMax });
  }

  text(data: string): void {
    if (!this.closedAlready) this.#take(this.#assembly.text(data));
  }

  binary(data: Uint8Array): void {
    if (!this.closedAlready) this.#take(this.#assembly.binary(data));
  }

  /** The server has ended the namespace: what is still under way for it is passed over. */
  ended(namespace: string): void {
    this.#endedNamespaces ??= new Set();
    const ended = this.#endedNamespaces;
    ended.add(namespace);
    if (ended.size <= this.#limits.namespacesPerConnectionMax) return;
    const oldest = ended.values().next().value;
    if (oldest !== undefined) ended.delete(oldest);
  }

  upgraded(transport: TransportName): void {
    if (this.closedAlready) return;
    this.#outbox.run(() => this.#events.onUpgraded(this, transport));
  }

  closed(reason: DisconnectReason): void {
    if (this.closedAlready) return;
    this.#outbox.run(() => this.#events.onClosed(this, reason));
  }

  #take(assembled: Assembled): void {
    this.#outbox.enter();
    try {
      if (!assembled.ok) this.#events.onFault(this, "parse error", assembled.fault.code);
      else if (assembled.packet !== null) this.#dispatch(assembled.packet, assembled.attachments);
    } finally {
      this.#outbox.leave();
    }
  }

  #dispatch(packet: Packet, attachments: readonly Uint8Array[]): void {
    const { type, namespace, id, json } = packet;
    const socket = this.sockets.get(namespace);
    if (type === PacketType.connect) {
      if (socket !== undefined) this.#misplaced("a second CONNECT");
      else if (this.sockets.size >= this.#limits.namespacesPerConnectionMax) this.#misplaced("too many namespaces");
      else {
        this.#endedNamespaces?.delete(namespace);
        this.#events.onConnect(this, namespace, json);
      }
      return;
    }
    if (socket === undefined || !socket.isIn) {
      if (socket !== undefined || this.#endedNamespaces?.has(namespace) !== true)
        this.#misplaced("a packet before CONNECT");
      return;
    }
    switch (type) {
      case PacketType.event:
      case PacketType.binaryEvent:
        this.#events.onEvent(socket, { json, attachments }, id);
        break;
      case PacketType.ack:
      case PacketType.binaryAck:
        this.#events.onAnswer(socket, id ?? -1, { json, attachments });
        break;
      case PacketType.disconnect:
        this.#events.onLeave(socket);
        break;
      default:
        this.#misplaced("a packet that only servers send");
    }
  }

  #misplaced(what: string): void {
    this.#events.onFault(this, "forced server close", what);
  }
}
