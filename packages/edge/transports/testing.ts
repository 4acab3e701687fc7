/** Fakes for this room's tests: an exchange, an upgraded stream, and a hub that writes everything down. */
import { EventEmitter } from "node:events";
import {
  type ByteStream,
  type Exchange,
  ExchangeEnd,
  type ExchangeHandler,
  type FieldList,
  type RequestHead,
} from "@tideway/base";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import type { Connection, DisconnectReason, Handshake, Line, Outgoing } from "@tideway/engine/hub";
import { encodeMaskedFrame, FrameDecoder, type MessageSink, Opcode } from "@tideway/wire/websocket";
import { createTransports, type Transports, type TransportsOptions } from "./index.ts";

/** The client's end of an upgraded connection: keeps what the server wrote, and reads it as frames. */
export class FakeStream extends EventEmitter implements ByteStream, MessageSink {
  writableLength = 0;
  destroyed = false;
  ended = false;
  paused = false;
  /** When set, the kernel takes nothing: bytes pile up and `write` says no. */
  stuck = false;
  writes = 0;
  /** Text as it came, binary as `hex:…`, control frames as `ping …`, `close 1000`. */
  readonly received: string[] = [];
  readonly #decoder = new FrameDecoder("client", 1 << 30);

  write(bytes: Uint8Array | string): boolean {
    const data = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : Buffer.from(bytes);
    this.writes++;
    if (this.stuck) {
      this.writableLength += data.length;
      return false;
    }
    this.#read(data);
    return true;
  }

  #read(data: Buffer): void {
    let frames = data;
    if (data.subarray(0, 5).toString("latin1") === "HTTP/") {
      const end = data.indexOf("\r\n\r\n") + 4;
      this.received.push(data.subarray(0, end).toString("latin1"));
      frames = data.subarray(end);
    }
    const fault = this.#decoder.write(frames, this);
    if (fault !== null) throw new Error(fault.message);
  }

  onText(data: string): void {
    this.received.push(data);
  }
  onBinary(data: Buffer): void {
    this.received.push(`hex:${data.toString("hex")}`);
  }
  onPing(data: Buffer): void {
    this.received.push(`ping ${data}`);
  }
  onPong(data: Buffer): void {
    this.received.push(`pong ${data}`);
  }
  onClose(code: number): void {
    this.received.push(`close ${code}`);
  }

  /** Sends frames as a client. */
  send(...messages: (string | Uint8Array)[]): void {
    const frames = messages.map((m) =>
      typeof m === "string"
        ? encodeMaskedFrame(Opcode.text, Buffer.from(m), 0x01020304)
        : encodeMaskedFrame(Opcode.binary, m, 0x01020304),
    );
    this.emit("data", Buffer.concat(frames));
  }

  frame(opcode: Opcode, payload: Uint8Array = Buffer.alloc(0)): void {
    this.emit("data", encodeMaskedFrame(opcode, payload, 0x01020304));
  }

  /** The kernel takes everything. */
  drain(): void {
    this.stuck = false;
    this.writableLength = 0;
    this.emit("drain");
  }

  end(): void {
    this.ended = true;
  }
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit("close");
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  cork(): void {}
  uncork(): void {}
}

export interface FakeRequest {
  method?: string;
  path?: string;
  query?: string;
  fields?: FieldList;
  upgrade?: string;
  bodyLength?: number;
  host?: string;
  address?: string;
}

export class FakeExchange implements Exchange {
  readonly id = "req-1";
  readonly head: RequestHead;
  readonly client = { address: "192.0.2.1", port: 1234, localPort: 80, secure: false };
  readonly stream = new FakeStream();
  service = "";
  instance = "";
  status = 0;
  fields: FieldList = [];
  body = "";
  done = false;
  paused = false;
  #handler: ExchangeHandler | null = null;

  constructor(request: FakeRequest) {
    this.client.address = request.address ?? this.client.address;
    const host = request.host ?? "www.abc.test";
    this.head = {
      method: request.method ?? "GET",
      path: request.path ?? "/socket.io/",
      query: request.query ?? "?EIO=4&transport=polling",
      host,
      authority: host,
      version: 11,
      fields: ["host", host, ...(request.fields ?? [])],
      bodyLength: request.bodyLength ?? 0,
      upgrade: request.upgrade ?? "",
    };
  }

  accept(handler: ExchangeHandler): void {
    if (this.#handler !== null) throw new Error("accepted twice");
    this.#handler = handler;
  }
  get handler(): ExchangeHandler {
    if (this.#handler === null) throw new Error("not accepted in its tick");
    return this.#handler;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  inform(): void {}
  respond(status: number, fields: FieldList, bodyLength: number): void {
    if (this.status !== 0) throw new Error("answered twice");
    this.status = status;
    this.fields = fields;
    this.#length = bodyLength;
  }
  #length = 0;
  get length(): number {
    return this.#length;
  }
  /** When set, `write` says that there is no room for more. */
  stuck = false;
  aborted = false;
  write(chunk: Uint8Array): boolean {
    this.body += Buffer.from(chunk).toString("utf8");
    return !this.stuck;
  }
  end(): void {
    const whole = this.#length < 0 || this.head.method === "HEAD" || Buffer.byteLength(this.body) === this.#length;
    if (!whole) throw new Error("another length than announced");
    this.done = true;
  }
  abort(): void {
    this.done = true;
    this.aborted = true;
  }
  upgrade(): { stream: ByteStream; head: Uint8Array } {
    this.status = 101;
    return { stream: this.stream, head: new Uint8Array(0) };
  }

  /** The client goes away. */
  vanish(): void {
    this.handler.onClose(ExchangeEnd.gone);
  }

  field(name: string): string | undefined {
    const at = this.fields.findIndex((value, i) => i % 2 === 0 && value === name);
    return at < 0 ? undefined : this.fields[at + 1];
  }
}

/** One line as the hub sees it, and all that it was told. */
export class FakeConnection implements Connection {
  readonly line: Line;
  readonly handshake: Handshake;
  readonly heard: string[] = [];
  onText: ((data: string) => void) | null = null;

  constructor(line: Line, handshake: Handshake) {
    this.line = line;
    this.handshake = handshake;
  }
  text(data: string): void {
    this.heard.push(data);
    this.onText?.(data);
  }
  binary(data: Uint8Array): void {
    this.heard.push(`hex:${Buffer.from(data).toString("hex")}`);
  }
  upgraded(): void {
    this.heard.push("upgraded");
  }
  closed(reason: DisconnectReason): void {
    this.heard.push(`closed: ${reason}`);
  }
}

export function outgoing(text: string, attachments: Uint8Array[] = [], volatile = false): Outgoing {
  const bytes = Buffer.byteLength(text) + attachments.reduce((sum, a) => sum + a.length, 0);
  return { text, attachments, volatile, compress: true, bytes, wire: null };
}

/** Transports on a fake clock with a hub that listens, and short ways to play a client. */
export class Stage {
  readonly clock = new FakeClock();
  readonly connections: FakeConnection[] = [];
  readonly transports: Transports;

  constructor(options: Partial<TransportsOptions> = {}) {
    this.transports = createTransports({
      clock: this.clock,
      random: new SeededRandom(1),
      open: (line, handshake) => {
        const connection = new FakeConnection(line, handshake);
        this.connections.push(connection);
        return connection;
      },
      ...options,
    });
  }

  request(request: FakeRequest = {}): FakeExchange {
    const exchange = new FakeExchange(request);
    this.transports.handle(exchange);
    return exchange;
  }

  /** Opens a session by polling. */
  openPolling(): { sid: string; connection: FakeConnection } {
    const exchange = this.request();
    const { sid } = JSON.parse(exchange.body.slice(1)) as { sid: string };
    return { sid, connection: this.connections.at(-1)! };
  }

  poll(sid: string): FakeExchange {
    return this.request({ query: `?EIO=4&transport=polling&sid=${sid}` });
  }

  post(sid: string, body: string | Uint8Array, fields: FieldList = []): FakeExchange {
    const bytes = Buffer.from(body);
    const exchange = this.request({
      method: "POST",
      query: `?EIO=4&transport=polling&sid=${sid}`,
      fields,
      bodyLength: bytes.length,
    });
    if (exchange.done) return exchange;
    exchange.handler.onBody(bytes);
    exchange.handler.onBodyEnd([]);
    return exchange;
  }

  webSocket(sid: string | null, more: FieldList = []): FakeExchange {
    return this.request({
      query: `?EIO=4&transport=websocket${sid === null ? "" : `&sid=${sid}`}`,
      upgrade: "websocket",
      fields: ["sec-websocket-version", "13", "sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==", ...more],
    });
  }

  /** Opens a session by WebSocket; its head and opening packet are taken off the stream's trail. */
  openWebSocket(): { stream: FakeStream; connection: FakeConnection } {
    const { stream } = this.webSocket(null);
    stream.received.splice(0);
    return { stream, connection: this.connections.at(-1)! };
  }
}
