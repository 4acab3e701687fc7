/** For tests of WebSocket framing: raw frames, a raw client over a real socket, and our server beside the stock `ws`. */
import { hash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, type Socket } from "node:net";
import { constants, deflateRawSync } from "node:zlib";
import { FrameDecoder, type MessageSink } from "@tideway/wire/websocket";
import { WebSocketServer } from "ws";
import { inflateMessage } from "./deflate.ts";
import { echoing, startOurs } from "./servers.testing.ts";

export const messageBytesMax = 100_000;

export interface FramingServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Ours, sending every Engine.IO message back. */
export function startFraming(): Promise<FramingServer> {
  return startOurs(echoing, { perMessageDeflate: true, pingIntervalMs: 60_000, pingTimeoutMs: 60_000 });
}

/** The stock server, which says the same. */
export async function startStock(): Promise<FramingServer> {
  const deflate = { serverNoContextTakeover: true, clientNoContextTakeover: true };
  const server = new WebSocketServer({
    port: 0,
    host: "127.0.0.1",
    maxPayload: messageBytesMax,
    perMessageDeflate: deflate,
  });
  server.on("connection", (socket) => {
    socket.on("error", () => {});
    socket.send("0{}");
    socket.on("message", (data, isBinary) => {
      if (isBinary) socket.send("4binary");
      socket.send(isBinary ? (data as Buffer) : String(data));
    });
  });
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      for (const client of server.clients) client.terminate();
      server.close();
    },
  };
}

export interface FrameParts {
  fin?: boolean;
  /** RSV1 is 4, RSV2 is 2, RSV3 is 1. */
  rsv?: number;
  opcode?: number;
  payload?: Uint8Array | string;
  /** The mask's four bytes as a number; null for an unmasked frame. */
  key?: number | null;
  /** How the length is written; the shortest unless given. */
  form?: 7 | 16 | 64;
  /** What the head says instead of the payload's length. */
  length?: bigint;
}

/** A frame as it is told, right or wrong; written from RFC 6455 §5.2 without the code that is under test. */
export function frame({
  fin = true,
  rsv = 0,
  opcode = 1,
  payload = "",
  key = 0x37fa213d,
  form,
  length,
}: FrameParts): Buffer {
  const data = Buffer.from(payload as Uint8Array);
  const size = length ?? BigInt(data.length);
  const shape = form ?? (size < 126n ? 7 : size < 65536n ? 16 : 64);
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const maskBit = key === null ? 0 : 0x80;
  if (shape === 7) head.push(maskBit | Number(size));
  else head.push(maskBit | (shape === 16 ? 126 : 127));
  if (shape !== 7) for (let bits = shape - 8; bits >= 0; bits -= 8) head.push(Number((size >> BigInt(bits)) & 0xffn));
  if (key === null) return Buffer.concat([Buffer.from(head), data]);
  const mask = Buffer.alloc(4);
  mask.writeInt32BE(key | 0);
  return Buffer.concat([Buffer.from(head), mask, data.map((byte, i) => byte ^ mask[i & 3]!)]);
}

export const bye = frame({ opcode: 8, payload: Buffer.of(3, 232) });
export const closed = "close 1000";

export function deflated(data: Uint8Array | string): Buffer {
  return deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

/** A message as a line of text: what is long, by its length and digest. */
function brief(data: string | Buffer): string {
  const text = typeof data === "string" ? data : data.toString("hex");
  return text.length <= 300 ? text : `${text.length} ${hash("sha1", text)}`;
}

export const texts = (text: string): string[] => [`text ${brief(text)}`];
export const binaries = (data: Buffer): string[] => ["text 4binary", `binary ${brief(data)}`];

class Trail implements MessageSink {
  readonly events: string[] = [];
  over: () => void = () => {};
  onText(data: string): void {
    this.events.push(`text ${brief(data)}`);
  }
  onBinary(data: Buffer): void {
    this.events.push(`binary ${brief(data)}`);
  }
  onPing(data: Buffer): void {
    this.events.push(`ping ${data.toString("hex")}`);
  }
  onPong(data: Buffer): void {
    this.events.push(`pong ${data.toString("hex")}`);
  }
  onClose(code: number): void {
    this.events.push(`close ${code}`);
    this.over();
  }
}

export const offer = "permessage-deflate; client_max_window_bits";

function request(extensions: string): string {
  const lines = [
    "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1",
    "host: a",
    "connection: Upgrade",
    "upgrade: websocket",
  ];
  lines.push("sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==");
  if (extensions !== "") lines.push(`sec-websocket-extensions: ${extensions}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** Opens a WebSocket; what came behind the head of the answer is kept in `rest`. */
export async function open(port: number, extensions = ""): Promise<{ socket: Socket; head: string; rest: Buffer }> {
  const socket = connect(port, "127.0.0.1");
  socket.setNoDelay(true);
  socket.on("error", () => {});
  socket.write(request(extensions));
  let bytes = Buffer.alloc(0);
  while (bytes.indexOf("\r\n\r\n") < 0) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    bytes = Buffer.concat([bytes, chunk]);
  }
  socket.pause();
  const end = bytes.indexOf("\r\n\r\n") + 4;
  return { socket, head: bytes.subarray(0, end).toString("latin1"), rest: bytes.subarray(end) };
}

/**
 * Sends bytes on a WebSocket of their own, in one piece or as the pieces stand, and returns all that the server says until
 * it closes; without the opening packet.
 */
export async function say(port: number, bytes: Buffer | readonly Buffer[], extensions = ""): Promise<string[]> {
  const { socket, rest } = await open(port, extensions);
  const trail = new Trail();
  const decoder = new FrameDecoder("client", 1 << 24, extensions === "" ? null : inflateMessage);
  const ended = new Promise<void>((done) => {
    socket.on("close", () => done());
    trail.over = () => {
      done();
      socket.end();
    };
  });
  const read = (chunk: Buffer) => {
    const wrong = decoder.write(chunk, trail);
    if (wrong !== null) trail.events.push(`the server is wrong: ${wrong.message}`);
  };
  read(Buffer.from(rest));
  socket.on("data", read);
  socket.resume();
  for (const piece of Array.isArray(bytes) ? (bytes as Buffer[]) : [bytes as Buffer]) {
    socket.write(piece);
    if (Array.isArray(bytes)) await new Promise((done) => setImmediate(done));
  }
  await ended;
  socket.destroy();
  const [opening = "", ...events] = trail.events;
  return opening.startsWith("text 0") ? events : trail.events;
}
