/**
 * Offsets: strings that name a place in a stream. `epoch.sequence`, the sequence in base 36, only characters that a URL
 * takes as they are. Opaque to everyone else. One that is not exactly what {@link encodeOffset} makes is no offset, and
 * one with another epoch is of another stream: neither is ever taken for a place.
 */

export interface Offset {
  readonly epoch: string;
  readonly seq: number;
}

const lengthMax = 64;

export function encodeOffset(epoch: string, seq: number): string {
  return `${epoch}.${seq.toString(36)}`;
}

/** Null for anything that is not an offset. */
export function decodeOffset(text: unknown): Offset | null {
  if (typeof text !== "string" || text.length > lengthMax) return null;
  const dot = text.lastIndexOf(".");
  if (dot <= 0) return null;
  const digits = text.slice(dot + 1);
  const seq = Number.parseInt(digits, 36);
  if (!Number.isSafeInteger(seq) || seq < 0 || seq.toString(36) !== digits) return null;
  return { epoch: text.slice(0, dot), seq };
}
