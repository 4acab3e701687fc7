/**
 * Compression of WebSocket messages (RFC 7692 §7.2) and of polling answers, by zlib and within the call: a message is
 * whole and bounded on both sides, keeps its place without a queue, and no connection holds a compressor.
 */
import { constants, deflateRawSync, deflateSync, gzipSync, inflateRawSync } from "node:zlib";
import type { FaultCode, Inflate } from "@tideway/wire/websocket";
import type { DeflateSettings, HttpCompressionSettings } from "./options.ts";

const EMPTY = Buffer.alloc(0);
/** What the sender left off (an empty block's end), and a last empty block, so that zlib tells a whole message from a torn one. */
const TAIL = Buffer.from("0000ffff010000ffff", "hex");
/** Behind a message whose own last block says so, its sender may leave one byte (RFC 7692 §7.2.3.5). */
const TAIL_AFTER_LAST = Buffer.concat([Buffer.of(0), TAIL]);
const CHUNK_MIN = 1024;
const CHUNK_MAX = 64 * 1024;

/**
 * Inflates a whole message. It stops as soon as more than `bytesMax` have come out, so a bomb costs no more than a message
 * of the size that is allowed, whatever follows in it.
 */
export const inflateMessage: Inflate = (payload, bytesMax) => {
  if (payload.length === 0) return EMPTY;
  const input = Buffer.concat([payload, TAIL]);
  const chunkSize = Math.min(Math.max(payload.length * 4, CHUNK_MIN), CHUNK_MAX);
  try {
    // With `info` zlib also says how much it has read; the types do not know.
    const result = inflateRawSync(input, { maxOutputLength: bytesMax, chunkSize, info: true } as object) as unknown;
    const { buffer, engine } = result as { buffer: Buffer; engine: { bytesWritten: number } };
    return isWhole(input.subarray(engine.bytesWritten)) ? buffer : "WS_DEFLATE";
  } catch (error) {
    return faultOf(error);
  }
};

/** Whether nothing is hidden behind the block that called itself the last. */
function isWhole(rest: Buffer): boolean {
  return rest.length === 0 || rest.equals(TAIL) || rest.equals(TAIL_AFTER_LAST);
}

function faultOf(error: unknown): FaultCode {
  return (error as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE" ? "WS_TOO_BIG" : "WS_DEFLATE";
}

/** Compresses messages with one window, for all clients that agreed upon it. */
export class Deflater {
  readonly #settings: DeflateSettings;
  readonly #windowBits: number;

  constructor(settings: DeflateSettings, windowBits: number) {
    this.#settings = settings;
    this.#windowBits = windowBits;
  }

  /** The payload of a compressed message; null where that would gain nothing, or cost all others too much time. */
  deflate(data: Uint8Array): Buffer | null {
    const { thresholdBytes, bytesMax, level, memLevel } = this.#settings;
    if (data.length < thresholdBytes || data.length > bytesMax || data.length === 0) return null;
    const windowBits = this.#windowBits;
    const deflated = deflateRawSync(data, { level, memLevel, windowBits, finishFlush: constants.Z_SYNC_FLUSH });
    // The end of the empty block that the flush made stays off (§7.2.1).
    return deflated.length - 4 < data.length ? deflated.subarray(0, -4) : null;
  }
}

export type HttpCoding = "gzip" | "deflate";

/** What a poll's answer may be compressed with, by the client's `Accept-Encoding`; gzip wins a tie. */
export function codingOf(acceptEncoding: string | undefined): HttpCoding | null {
  if (acceptEncoding === undefined) return null;
  const weights = new Map<string, number>();
  for (const part of acceptEncoding.toLowerCase().split(",")) {
    const [name = "", ...parameters] = part.split(";").map((piece) => piece.trim());
    const q = parameters.find((parameter) => parameter.startsWith("q="));
    const weight = q === undefined ? 1 : Number(q.slice(2));
    weights.set(name === "x-gzip" ? "gzip" : name, Math.max(weight || 0, 0));
  }
  const any = weights.get("*") ?? 0;
  const gzip = weights.get("gzip") ?? any;
  const deflate = weights.get("deflate") ?? any;
  if (gzip === 0 && deflate === 0) return null;
  return gzip >= deflate ? "gzip" : "deflate";
}

/** Compresses the answers of polls; in a broadcast, where the next client's is the same, once. */
export class PayloadCompressor {
  readonly #settings: HttpCompressionSettings;
  #text = "";
  #coding: HttpCoding = "gzip";
  #compressed = EMPTY;

  constructor(settings: HttpCompressionSettings) {
    this.#settings = settings;
  }

  isWorth(body: Buffer): boolean {
    return body.length >= this.#settings.thresholdBytes && body.length <= this.#settings.bytesMax;
  }

  /** The body, whose text is `text`, compressed; null where that gains nothing. */
  compress(text: string, body: Buffer, coding: HttpCoding): Buffer | null {
    const { level } = this.#settings;
    if (this.#coding !== coding || this.#text !== text) {
      this.#compressed = coding === "gzip" ? gzipSync(body, { level }) : deflateSync(body, { level });
      this.#text = text;
      this.#coding = coding;
    }
    return this.#compressed.length < body.length ? this.#compressed : null;
  }

  /** At the end of a tick. */
  forget(): void {
    this.#text = "";
    this.#compressed = EMPTY;
  }
}
