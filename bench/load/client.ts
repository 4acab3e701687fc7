/**
 * One raw client of the benchmarked servers: WebSocket, and above it Socket.IO's protocol, nothing, or what Nchan makes of it.
 * Answers heartbeats. Counts what arrives; keeps it only when asked to.
 */
import { createConnection, type Socket } from "node:net";
import { clientFrame, type FrameHandler, FrameReader } from "./frames.ts";

/** Nchan has a place for listeners and one for senders, and greets nobody. */
export type Protocol = "socket.io" | "plain" | "nchan";

export interface ClientOptions {
  readonly port: number;
  readonly protocol: Protocol;
  /** Where the server is below its address; its root unless given. */
  readonly path?: string;
  /** A sender is not in the room. */
  readonly role: "listener" | "sender";
  /** Whether `texts` is filled. */
  readonly keeps: boolean;
  /** So many messages of the room arrived whole. */
  readonly onMessages: (count: number, client: Client) => void;
  readonly onClose: (why: string) => void;
}

const Opcode = { text: 1, close: 8, ping: 9, pong: 10 } as const;
const readBytes = 64 * 1024;
/** Shared by all clients: a read is looked at before the next one begins. */
const readBuffer = Buffer.allocUnsafe(readBytes);
const heartbeat = clientFrame(Opcode.text, "3");
const pong = clientFrame(Opcode.pong, "");

export class Client implements FrameHandler {
  /** Messages of the room. */
  count = 0;
  /** Of them, answers since its crowd began to ask. */
  answers = 0;
  /** Those messages, as they stood in the frames. */
  readonly texts: string[] = [];
  readonly #options: ClientOptions;
  readonly #socket: Socket;
  readonly #frames: FrameReader;
  readonly #ready = Promise.withResolvers<void>();
  #response = "";
  #upgraded = false;
  #joined = false;
  #closed = false;

  private constructor(options: ClientOptions) {
    this.#options = options;
    this.#frames = new FrameReader(this);
    this.#socket = createConnection({
      host: "127.0.0.1",
      port: options.port,
      noDelay: true,
      onread: { buffer: readBuffer, callback: (length) => this.#onRead(length) },
    });
    this.#socket.once("connect", () => this.#socket.write(this.#request()));
    this.#socket.once("error", (error) => this.#onEnd(error.message));
    this.#socket.once("close", () => this.#onEnd("closed by the server"));
  }

  /** Resolves when the server has taken it into the room (or knows it as a sender). */
  static async open(options: ClientOptions): Promise<Client> {
    const client = new Client(options);
    await client.#ready.promise;
    return client;
  }

  get isOpen(): boolean {
    return !this.#closed;
  }

  /** Sends texts to the room, in one write. */
  say(texts: readonly string[]): void {
    const isWrapped = this.#options.protocol === "socket.io";
    const frames = texts.map((text) =>
      clientFrame(Opcode.text, isWrapped ? `42${JSON.stringify(["say", text])}` : text),
    );
    this.#socket.write(Buffer.concat(frames));
  }

  /** Sends frames as they are. */
  send(frames: Buffer): void {
    this.#socket.write(frames);
  }

  /** Reads nothing more. */
  pause(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #request(): string {
    const { protocol, role, path = "/" } = this.#options;
    const targets: Readonly<Record<Protocol, string>> = {
      "socket.io": `${path}socket.io/?EIO=4&transport=websocket&role=${role}`,
      plain: `${path}?role=${role}`,
      nchan: `${path}${role}`,
    };
    const target = targets[protocol];
    return (
      `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
  }

  #onRead(length: number): boolean {
    if (this.#upgraded) {
      this.#frames.feed(readBuffer, 0, length);
      return true;
    }
    this.#response += readBuffer.toString("latin1", 0, length);
    const end = this.#response.indexOf("\r\n\r\n");
    if (end < 0) return true;
    if (!this.#response.startsWith("HTTP/1.1 101 ")) {
      this.#onEnd(`answered ${this.#response.slice(0, this.#response.indexOf("\r\n"))}`);
      this.#socket.destroy();
      return true;
    }
    this.#upgraded = true;
    const behind = Buffer.from(this.#response.slice(end + 4), "latin1");
    this.#response = "";
    if (this.#options.protocol === "nchan") this.#join();
    this.#frames.feed(behind, 0, behind.length);
    return true;
  }

  onTexts(count: number): void {
    this.count += count;
    this.#options.onMessages(count, this);
  }

  onFrame(opcode: number, payload: Buffer | null, length: number): void {
    if (opcode === Opcode.text) {
      // Engine.IO's ping is the one text of one byte.
      if (length === 1) this.#socket.write(heartbeat);
      else if (this.#joined) {
        if (payload !== null) this.texts.push(payload.toString());
        this.onTexts(1);
      } else this.#onGreeting(payload!.toString());
    } else if (opcode === Opcode.ping) this.#socket.write(pong);
    else if (opcode === Opcode.close) this.#onEnd("closed by a close frame");
  }

  #onGreeting(text: string): void {
    if (text.startsWith("0{")) this.#socket.write(clientFrame(Opcode.text, "40"));
    // From a hub that keeps its events, each brings its offset.
    else if (text === "ready" || text.startsWith('42["ready"')) this.#join();
    else if (!text.startsWith("40{")) this.#onEnd(`greeted with ${text}`);
  }

  #join(): void {
    this.#joined = true;
    this.#frames.collects = this.#options.keeps;
    this.#ready.resolve();
  }

  #onEnd(why: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ready.reject(new Error(why));
    if (this.#joined) this.#options.onClose(why);
  }
}

/** Texts that want an acknowledgement each, by Socket.IO's protocol, in one piece. */
export function questions(texts: readonly string[]): Buffer {
  return Buffer.concat(texts.map((text, id) => clientFrame(Opcode.text, `42${id}${JSON.stringify(["echo", text])}`)));
}
