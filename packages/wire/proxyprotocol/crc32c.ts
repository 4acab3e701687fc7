/** CRC32c (Castagnoli), as RFC 4960 Appendix B has it for SCTP; `node:zlib` has only the other polynomial. */
const table = new Uint32Array(256);
for (let n = 0; n < 256; n++) {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  table[n] = c >>> 0;
}

/** Of all bytes, those from `hole` to `hole + 4` taken as zeros. */
export function crc32c(bytes: Uint8Array, hole: number): number {
  let c = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) {
    const byte = i >= hole && i < hole + 4 ? 0 : bytes[i]!;
    c = table[(c ^ byte) & 0xff]! ^ (c >>> 8);
  }
  return (c ^ 0xffffffff) >>> 0;
}
