/**
 * One raw client of a room that comes back when its line is lost, by the stock client's rules: after 1 s ± half of it, twice as
 * long after each failure, 5 s at most; and it takes up where it was, with the private id and the last offset that it was given.
 */
import { createConnection, type Socket } from "node:net";
import { clientFrame, FrameReader } from "./frames.ts";
import type { Witness } from "./witness.ts";

const Opcode = { text: 1, close: 8 } as const;
const delayMs = 1000;
const delayMaxMs = 5000;
const jitter = 0.5;
const readBuffer = Buffer.allocUnsafe(64 * 1024);
const pong = clientFrame(Opcode.text, "3");

export class Survivor {
  readonly witness: Witness;
  readonly #port: number;
  #socket: Socket | null = null;
  #failures = 0;
  #attemptAt = 0;
  #pid = "";
  #offset = "";
  #stopped = false;

  constructor(port: number, witness: Witness) {
    this.#port = port;
    this.witness = witness;
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    this.#socket?.destroy();
  }

  #connect(): void {
    this.#attemptAt = performance.now();
    let response = "";
    let upgraded = false;
    const frames = new FrameReader({ onFrame: (opcode, payload) => this.#onFrame(opcode, payload), onTexts() {} });
    const socket = createConnection({
      host: "127.0.0.1",
      port: this.#port,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          if (upgraded) {
            frames.feed(readBuffer, 0, length);
            return true;
          }
          response += readBuffer.toString("latin1", 0, length);
          const end = response.indexOf("\r\n\r\n");
          if (end < 0) return true;
          if (!response.startsWith("HTTP/1.1 101 ")) {
            socket.destroy();
            return true;
          }
          upgraded = true;
          const behind = Buffer.from(response.slice(end + 4), "latin1");
          frames.feed(behind, 0, behind.length);
          return true;
        },
      },
    });
    this.#socket = socket;
    socket.once("connect", () =>
      socket.write(
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n" +
          "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
      ),
    );
    socket.on("error", () => {});
    socket.once("close", () => this.#onLost());
  }

  #onLost(): void {
    if (this.#stopped) return;
    // A failed attempt is no line.
    if (this.#failures === 0) this.witness.dropped++;
    const base = Math.min(delayMs * 2 ** this.#failures++, delayMaxMs);
    setTimeout(() => this.#stopped || this.#connect(), base * (1 - jitter + 2 * jitter * Math.random()));
  }

  #onFrame(opcode: number, payload: Buffer | null): void {
    if (opcode === Opcode.close) this.#socket?.destroy();
    if (opcode !== Opcode.text) return;
    const text = payload!.toString();
    if (text === "2") this.#socket?.write(pong);
    else if (text.startsWith("0{")) {
      const auth = this.#pid === "" ? "" : JSON.stringify({ pid: this.#pid, offset: this.#offset });
      this.#socket?.write(clientFrame(Opcode.text, `40${auth}`));
    } else if (text.startsWith("40{")) {
      const { pid = "" } = JSON.parse(text.slice(2)) as { pid?: string };
      if (this.#pid !== "") this.witness.returned(performance.now() - this.#attemptAt, pid === this.#pid);
      this.#pid = pid;
      this.#failures = 0;
    } else if (text.startsWith("42[")) this.#onEvent(JSON.parse(text.slice(2)));
  }

  #onEvent(event: unknown[]): void {
    const last = event.at(-1);
    if (event.length > 1 && typeof last === "string") this.#offset = last;
    if (event[0] === "here") this.witness.here();
    else if (event[0] === "post") this.witness.post(Number(event[1]));
  }
}
