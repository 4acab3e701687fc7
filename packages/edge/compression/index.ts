/** Front door of `edge/compression`: answers compressed on their way to the client. */
import { type Clock, type Exchange, type Logger, limits } from "@tideway/base";
import { type Coding, chooseCoding, wantedCoding } from "./decision.ts";
import { type CodingLevels, type Codings, codings } from "./encoder.ts";
import { CompressedExchange } from "./exchange.ts";

export type { CodingLevels } from "./encoder.ts";

export interface CompressionOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Bodies that are known to be shorter go as they are; 1,024 unless given: beyond it a packet is saved. */
  readonly bytesMin?: number;
  /** Answers that are compressed at the same time, as streams, of about 1 MB each; the next go as they are. 128 unless given. */
  readonly compressorsMax?: number;
  readonly levels?: CodingLevels;
  /** For tests of this room: compressors that fail. */
  readonly codings?: Codings;
}

export interface CompressionCounters {
  /** Compressors that are open now. */
  readonly open: number;
  /** Answers since the start: small ones in one go, others as streams, and those that went as they are for want of a compressor. */
  readonly whole: number;
  readonly streamed: number;
  readonly refused: number;
  /** Of bodies, before and after. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface Compression {
  /** What the target is to be handed in place of `exchange`; that one is not to be used besides any more. */
  wrap(exchange: Exchange): Exchange;
  readonly counters: CompressionCounters;
}

/** So many different Accept-Encoding fields are remembered; there are a handful of browsers. */
const rememberedMax = 64;
const rememberedLengthMax = 256;

export function createCompression(options: CompressionOptions): Compression {
  const { clock, logger, bytesMin = limits.compressBytesMin, compressorsMax = limits.compressorsMax } = options;
  const counters = { open: 0, whole: 0, streamed: 0, refused: 0, bytesIn: 0, bytesOut: 0 };
  const remembered = new Map<string, Coding | null>();
  const choose = (acceptEncoding: string): Coding | null => {
    const known = remembered.get(acceptEncoding);
    if (known !== undefined) return known;
    const coding = chooseCoding(acceptEncoding);
    if (remembered.size < rememberedMax && acceptEncoding.length <= rememberedLengthMax)
      remembered.set(acceptEncoding, coding);
    return coding;
  };
  const surroundings = {
    clock,
    logger,
    bytesMin,
    counters,
    codings: options.codings ?? codings(options.levels ?? {}),
    take(): boolean {
      const free = counters.open < compressorsMax;
      if (free) counters.open++;
      else counters.refused++;
      return free;
    },
    release(): void {
      counters.open--;
    },
  };
  return {
    counters,
    wrap(exchange) {
      // Another protocol is not ours to change, and an upgrade that is refused says little.
      if (exchange.head.upgrade !== "") return exchange;
      return new CompressedExchange(exchange, surroundings, wantedCoding(exchange.head, choose));
    },
  };
}
