/**
 * A bare `node:net` server for the echo benchmark: what reading and writing cost by themselves in Node. It shakes hands, and then
 * answers each frame with the same bytes: it looks at lengths, and at nothing else.
 */
import { hash } from "node:crypto";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { announce } from "./announce.ts";

const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** A server's frame of ASCII of less than 64 KiB (RFC 6455 §5.2). */
function frame(text: string): Buffer {
  const { length } = text;
  const head = length < 126 ? [0x81, length] : [0x81, 126, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), Buffer.from(text, "latin1")]);
}

const answer = frame(`430["${"x".repeat(100)}"]`);
/** By how many frames came in one read. */
const answers: Buffer[] = [];
const greeting = frame('0{"sid":"a","upgrades":[],"pingInterval":3600000,"pingTimeout":3600000,"maxPayload":1000000}');
const welcome = Buffer.concat([frame('40{"sid":"a"}'), frame('42["ready"]')]);

function shakeHands(socket: Socket, request: string): void {
  const key = /sec-websocket-key: (\S+)/i.exec(request)![1]!;
  const accept = hash("sha1", key + guid, "base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  socket.write(greeting);
}

/** Where the client's masked frame at `at` ends; it is shorter than 64 KiB. */
function endOfFrame(bytes: Buffer, at: number): number {
  const short = bytes[at + 1]! & 0x7f;
  return short < 126 ? at + 6 + short : at + 8 + bytes.readUInt16BE(at + 2);
}

const none = Buffer.alloc(0);

const server = createServer({ noDelay: true }, (socket) => {
  let reads = 0;
  let pending: Buffer = none;
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    reads++;
    if (reads === 1) return shakeHands(socket, chunk.toString("latin1"));
    if (reads === 2) return void socket.write(welcome);
    const bytes = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    let at = 0;
    let count = 0;
    while (at + 4 <= bytes.length) {
      const end = endOfFrame(bytes, at);
      if (end > bytes.length) break;
      at = end;
      count++;
    }
    pending = at === bytes.length ? none : bytes.subarray(at);
    if (count === 0) return;
    const joined = answers[count] ?? Buffer.concat(new Array<Buffer>(count).fill(answer));
    answers[count] = joined;
    socket.write(joined);
  });
});
server.listen(0, "127.0.0.1", () => announce((server.address() as AddressInfo).port));
