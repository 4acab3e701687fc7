/**
 * The body that travels: one piece, over and over. Its length is a prime, so that no buffer's length divides it: a part that
 * is lost, repeated or moved shows.
 */
export const bodyPiece: Buffer = Buffer.alloc(262_139);
for (let at = 0; at < bodyPiece.length; at++) bodyPiece[at] = (at * 31 + (at >> 8) * 7) & 0xff;

/** Counts a body, and compares it when asked to, which costs about as much as reading it. */
export class BodyReader {
  bytes = 0;
  isRight = true;
  readonly #compares: boolean;

  constructor(compares: boolean) {
    this.#compares = compares;
  }

  feed(chunk: Buffer): void {
    if (this.#compares) {
      for (let at = 0; at < chunk.length; ) {
        const from = (this.bytes + at) % bodyPiece.length;
        const length = Math.min(chunk.length - at, bodyPiece.length - from);
        if (bodyPiece.compare(chunk, at, at + length, from, from + length) !== 0) this.isRight = false;
        at += length;
      }
    }
    this.bytes += chunk.length;
  }
}

/** What a body is written to: a socket, or what stands for one. */
export interface BodySink {
  write(chunk: Buffer): boolean;
  once(event: "drain", run: () => void): unknown;
}

/** Writes `bytes` of the body as fast as they are taken. */
export function writeBody(sink: BodySink, bytes: number, written: () => void): void {
  let left = bytes;
  const go = (): void => {
    while (left > 0) {
      const length = Math.min(left, bodyPiece.length);
      left -= length;
      if (!sink.write(length === bodyPiece.length ? bodyPiece : bodyPiece.subarray(0, length)) && left > 0) {
        sink.once("drain", go);
        return;
      }
    }
    written();
  };
  go();
}
