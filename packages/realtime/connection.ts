/**
 * A client's line as `socket.conn` shows it: Engine.IO's socket, shared by the client's sockets in all namespaces of this
 * server. Owns its events; the line itself is the hub's, or, when this server has the hub, at hand (`LocalLine`).
 *
 * Over a link packets pass at the edge, out of this process: there `upgrade` and `close` are all that is told.
 */
import { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import type { LineObserver } from "@tideway/edge/transports";
import { type DisconnectReason, Packet } from "@tideway/engine/hub";
import { PacketType } from "@tideway/wire/engineio";
import { withoutTable } from "./listener-table.ts";
import { type EngineRequest, exposed, type LocalLine, rememberedRequest } from "./local-line.ts";
import type { ConnectMessage } from "./session.ts";
import { callListeners } from "./user-code.ts";

type TransportName = ConnectMessage["transport"];
type SendCallback = (transport: ConnectionTransport) => void;

export interface ConnectionTransport {
  readonly name: TransportName;
  readonly sid: string;
  readonly protocol: 4;
  readonly readyState: "open" | "closing" | "closed";
  readonly writable: boolean;
}

export interface Client {
  readonly id: string;
  readonly conn: Connection;
  readonly request: IncomingMessage;
}

/** A line at the edge. */
interface RemoteLine {
  /** As the engine's middlewares in this process left it; null when there are none. */
  request: EngineRequest | null;
  close(): void;
}

/** A socket that ends so leaves its line behind. */
const namespaceReasons: ReadonlySet<DisconnectReason> = new Set([
  "client namespace disconnect",
  "server namespace disconnect",
]);

type ConnectionSource = Pick<ConnectMessage, "connection" | "transport" | "handshake">;

/** What only a watched line tells. */
const watchedEvents: ReadonlySet<string | symbol> = new Set([
  "packet",
  "packetCreate",
  "data",
  "message",
  "heartbeat",
  "flush",
  "drain",
  "upgrading",
]);

export class Connection extends EventEmitter {
  readonly id: string;
  readonly protocol = 4;
  readonly remoteAddress: string;
  readyState: "opening" | "open" | "closing" | "closed" = "open";
  /** Whether the client is trying a WebSocket now. Known to whoever listens to `upgrading`. */
  upgrading = false;
  upgraded = false;
  #name: TransportName;
  /** Made when somebody asks for it. */
  #transport: ConnectionTransport | null = null;
  readonly #line: LocalLine | RemoteLine;
  #handshake: ConnectMessage["handshake"] | null;
  /** How many sockets of this server are on the line. */
  #holders = 0;
  #unsent: SendCallback[] | null = null;
  #watching = false;

  constructor(source: ConnectionSource, line: LocalLine | RemoteLine) {
    super();
    withoutTable(this);
    this.id = source.connection;
    this.remoteAddress = source.handshake.address;
    this.#handshake = source.handshake;
    this.#name = source.transport;
    this.#line = line;
  }

  get #local(): LocalLine | null {
    return "line" in this.#line ? this.#line : null;
  }

  get transport(): ConnectionTransport {
    this.#transport ??= transportOf(this, this.#name);
    return this.#transport;
  }

  /** The line as Socket.IO's `Client` shows it. */
  get client(): Client {
    const conn = this;
    return {
      id: this.id,
      conn,
      get request() {
        return conn.request;
      },
    };
  }

  /**
   * The request that opened the line: Node's own object, as middlewares left it, when this server has the hub. Otherwise what
   * is known of it. May be set to null to let it go.
   */
  get request(): IncomingMessage {
    if (this.#local !== null) this.#local.looked = true;
    if (this.#line.request !== null) return exposed(this.#line.request);
    return this.#handshake === null ? (null as never) : rememberedRequest(this.#handshake);
  }

  set request(value: IncomingMessage | null) {
    this.#line.request = value as EngineRequest | null;
    if (value === null) this.#handshake = null;
  }

  /** Sends an Engine.IO message past Socket.IO. Text only, and only where this server has the hub. */
  send(data: string, options?: { readonly compress?: boolean } | SendCallback, callback?: SendCallback): this {
    if (typeof data !== "string") throw new TypeError("conn.send() takes text: send binary with socket.emit()");
    if (this.#local === null)
      throw new Error("conn.send(): the line is at the edge's hub, this process cannot write to it");
    if (this.readyState !== "open") return this;
    const done = typeof options === "function" ? options : callback;
    if (done !== undefined) {
      this.#unsent ??= [];
      this.#unsent.push(done);
      this.#watch();
    }
    const compress = typeof options === "object" ? options.compress !== false : true;
    this.#local.line.send(new Packet(data, [], false, compress));
    return this;
  }

  write(data: string, options?: { readonly compress?: boolean } | SendCallback, callback?: SendCallback): this {
    return this.send(data, options, callback);
  }

  /** Closes the line, and with it every socket on it. The client reconnects. */
  close(_discard?: boolean): void {
    if (this.readyState !== "open") return;
    this.readyState = "closing";
    if ("line" in this.#line) this.#line.line.close("forced close");
    else this.#line.close();
  }

  override on(event: string | symbol, listener: (...args: never[]) => void): this {
    if (watchedEvents.has(event)) this.#watch();
    return super.on(event, listener as () => void);
  }

  override addListener(event: string | symbol, listener: (...args: never[]) => void): this {
    return this.on(event, listener);
  }

  override prependListener(event: string | symbol, listener: (...args: never[]) => void): this {
    if (watchedEvents.has(event)) this.#watch();
    return super.prependListener(event, listener as () => void);
  }

  /** @internal */
  _upgraded(transport: TransportName): void {
    this.#name = transport;
    this.#transport = null;
    this.upgrading = false;
    this.upgraded = true;
    callListeners(this, "upgrade", [this.transport]);
  }

  /** @internal */
  _hold(): void {
    this.#holders++;
  }

  /** A socket has been let in: unless somebody looked at the request by now, or may have put something on it, it can go. @internal */
  _settled(): void {
    const local = this.#local;
    if (local !== null && !local.looked) local.request = null;
  }

  /** A socket has ended. True when a line that is elsewhere has ended with it. @internal */
  _release(reason: DisconnectReason): boolean {
    this.#holders--;
    return this.#local === null && this.#holders === 0 && !namespaceReasons.has(reason);
  }

  /** @internal */
  _closed(reason: DisconnectReason): void {
    if (this.readyState === "closed") return;
    this.readyState = "closed";
    callListeners(this, "close", [reason]);
  }

  #watch(): void {
    if (this.#watching || this.#local === null) return;
    this.#watching = true;
    const tell = (event: string, ...args: unknown[]) => callListeners(this, event, args);
    const observer: LineObserver = {
      onReceived: ({ type, text, binary }) => {
        const data = binary === null ? text : Buffer.from(binary);
        const name = packetNames[type];
        tell("packet", name === "message" || data !== "" ? { type: name, data } : { type: name });
        if (name === "pong") tell("heartbeat");
        if (name !== "message") return;
        tell("data", data);
        tell("message", data);
      },
      onQueued: ({ text, attachments, compress }) => {
        tell("packetCreate", { type: "message", options: { compress }, data: text });
        for (const data of attachments) tell("packetCreate", { type: "message", options: { compress }, data });
      },
      onBeat: () => tell("packetCreate", { type: "ping", options: { compress: true } }),
      onFlushed: () => {
        tell("flush");
        for (const callback of this.#unsent?.splice(0) ?? []) callback(this.transport);
        tell("drain");
      },
      onUpgrading: () => {
        this.upgrading = true;
        tell("upgrading", transportOf(this, "websocket"));
      },
    };
    this.#local.line.watch(observer);
  }
}

const packetNames: Readonly<Record<PacketType, string>> = {
  [PacketType.open]: "open",
  [PacketType.close]: "close",
  [PacketType.ping]: "ping",
  [PacketType.pong]: "pong",
  [PacketType.message]: "message",
  [PacketType.upgrade]: "upgrade",
  [PacketType.noop]: "noop",
};

function transportOf(connection: Connection, name: TransportName): ConnectionTransport {
  return {
    name,
    sid: connection.id,
    protocol: 4,
    get readyState() {
      return connection.readyState === "opening" ? "open" : connection.readyState;
    },
    get writable() {
      return connection.readyState === "open";
    },
  };
}
