/** Masking (RFC 6455 §5.3): bytes XOR a repeating key of four. Applying it twice gives the bytes back. */

/** From here on, four bytes at a time through a view pay for finding the view. */
const WORDS_FROM = 64;
/** A view of more than this is not kept: it keeps the memory. */
const KEPT_BYTES_MAX = 64 * 1024;

let kept = new Int32Array(0);

/** All whole words of `memory`. The last view is kept: what came in one read, or lies in one place for all reads, shares it. */
function wordsOf(memory: ArrayBufferLike): Int32Array {
  if (kept.buffer === memory) return kept;
  const words = new Int32Array(memory, 0, memory.byteLength >> 2);
  if (memory.byteLength <= KEPT_BYTES_MAX) kept = words as Int32Array<ArrayBuffer>;
  return words;
}

/**
 * Masks or unmasks `bytes[start, end)` in place. `key` is the four bytes as a big-endian number; `phase` is how many
 * bytes of the frame's payload came before. Returns the OR of all bytes written, so that its top bit tells whether
 * anything is beyond ASCII: the caller then knows how to read text without a second look.
 */
export function maskInPlace(bytes: Uint8Array, start: number, end: number, key: number, phase: number): number {
  // Rotated so that byte `start` meets the right byte of the key.
  const turn = (phase & 3) * 8;
  const rotated = turn === 0 ? key : (key << turn) | (key >>> (32 - turn));
  let seen = 0;
  let at = start;
  if (end - start >= WORDS_FROM) {
    while (((bytes.byteOffset + at) & 3) !== 0) {
      seen |= bytes[at] = bytes[at]! ^ keyByte(rotated, at - start);
      at++;
    }
    const shift = ((at - start) & 3) * 8;
    const word = toMemoryOrder(shift === 0 ? rotated : (rotated << shift) | (rotated >>> (32 - shift)));
    const words = wordsOf(bytes.buffer);
    const first = (bytes.byteOffset + at) >> 2;
    const last = first + ((end - at) >> 2);
    let all = 0;
    for (let i = first; i < last; i++) all |= words[i] = words[i]! ^ word;
    seen |= (all & 0xff) | ((all >>> 8) & 0xff) | ((all >>> 16) & 0xff) | (all >>> 24);
    at += (last - first) * 4;
  }
  for (; at < end; at++) seen |= bytes[at] = bytes[at]! ^ keyByte(rotated, at - start);
  return seen;
}

const littleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

function keyByte(key: number, index: number): number {
  return (key >>> (24 - (index & 3) * 8)) & 0xff;
}

function toMemoryOrder(word: number): number {
  if (!littleEndian) return word;
  return ((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}
