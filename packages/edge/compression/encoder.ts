/**
 * Owns one compressor of `node:zlib`: bursts go in, each comes out whole (a sync flush behind every burst, RFC 1951 §3.2.3,
 * RFC 7932 §9.2, RFC 8878 §3.1.1), in a thread of the pool. Refuses to decide when a burst is complete.
 */
import {
  type BrotliOptions,
  brotliCompressSync,
  constants,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  gzipSync,
  type ZlibOptions,
  type ZstdOptions,
  zstdCompressSync,
} from "node:zlib";
import { Coding } from "./decision.ts";

/**
 * How hard to try. The defaults give most of what there is to gain for little time and, with windows of 256 KiB (gzip's is
 * 32 KiB), at most some 1.2 MB for each compressor.
 */
export interface CodingLevels {
  /** 1 to 22; 3 unless given. */
  readonly zstd?: number;
  /** 0 to 11; 4 unless given. */
  readonly br?: number;
  /** 1 to 9; 5 unless given. */
  readonly gzip?: number;
}

/** The slice of zlib's streams that is used here. */
export interface CompressorStream {
  write(chunk: Uint8Array, done: (error?: Error | null) => void): boolean;
  end(): unknown;
  destroy(): unknown;
  pause(): unknown;
  resume(): unknown;
  on(event: "data", listener: (chunk: Buffer) => void): unknown;
  on(event: "end" | "close", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** How the three codings are made, with the levels that are configured. */
export interface Codings {
  open(coding: Coding): CompressorStream;
  /** A whole body at once, on the caller's thread: cheaper than a stream for a few KiB. */
  whole(coding: Coding, body: Uint8Array): Buffer;
}

const windowBits = 18;
/** Bytes of the pieces that come out. */
const chunkSize = 16 * 1024;

export function codings(levels: CodingLevels): Codings {
  const gzip: ZlibOptions = { level: levels.gzip ?? 5, chunkSize };
  const br: BrotliOptions = {
    chunkSize,
    params: { [constants.BROTLI_PARAM_QUALITY]: levels.br ?? 4, [constants.BROTLI_PARAM_LGWIN]: windowBits },
  };
  const zstd: ZstdOptions = {
    chunkSize,
    params: { [constants.ZSTD_c_compressionLevel]: levels.zstd ?? 3, [constants.ZSTD_c_windowLog]: windowBits },
  };
  return {
    open(coding) {
      if (coding === Coding.gzip) return createGzip({ ...gzip, flush: constants.Z_SYNC_FLUSH });
      if (coding === Coding.br) return createBrotliCompress({ ...br, flush: constants.BROTLI_OPERATION_FLUSH });
      return createZstdCompress({ ...zstd, flush: constants.ZSTD_e_flush });
    },
    whole(coding, body) {
      if (coding === Coding.gzip) return gzipSync(body, gzip);
      return coding === Coding.br ? brotliCompressSync(body, br) : zstdCompressSync(body, zstd);
    },
  };
}

/** What an encoder tells. After `onFailed` or `close` only `onClosed` comes, always, as the last. */
export interface EncoderOwner {
  onEncoded(chunk: Buffer): void;
  /** The burst is in: nothing of it is held any more, and another may come. */
  onTaken(): void;
  onEncodedWhole(): void;
  onFailed(error: Error): void;
}

export class Encoder {
  readonly #stream: CompressorStream;
  readonly #owner: EncoderOwner;
  #ended = false;
  #closed = false;
  /** A burst is being compressed. */
  busy = false;

  /** `onClosed`: its memory is free again. */
  constructor(stream: CompressorStream, owner: EncoderOwner, onClosed: () => void) {
    this.#stream = stream;
    this.#owner = owner;
    stream.on("data", (chunk) => {
      if (!this.#closed) owner.onEncoded(chunk);
    });
    stream.on("end", () => {
      if (!this.#closed) owner.onEncodedWhole();
    });
    stream.on("error", (error) => {
      if (this.#closed) return;
      this.#closed = true;
      owner.onFailed(error);
    });
    stream.on("close", onClosed);
  }

  /** Only while it is not busy. */
  take(burst: Uint8Array): void {
    this.busy = true;
    this.#stream.write(burst, (error) => {
      this.busy = false;
      // An error is told by its own event.
      if (!this.#closed && !this.#ended && (error === null || error === undefined)) this.#owner.onTaken();
    });
  }

  /** The last burst was given. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stream.end();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  close(): void {
    this.#closed = true;
    this.#stream.destroy();
  }
}
