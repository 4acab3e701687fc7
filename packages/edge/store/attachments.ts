/**
 * Binaries of one event as one blob: for each, its length (32 bits, little endian) and its bytes. None is null, which is
 * what nearly every event has.
 */

export function packAttachments(attachments: readonly Uint8Array[]): Uint8Array<ArrayBuffer> | null {
  if (attachments.length === 0) return null;
  // Never from Buffer's pool: the memory is given away to the worker.
  const blob = Buffer.alloc(attachments.reduce((sum, part) => sum + 4 + part.length, 0));
  let at = 0;
  for (const part of attachments) {
    at = blob.writeUInt32LE(part.length, at);
    blob.set(part, at);
    at += part.length;
  }
  return blob;
}

export function unpackAttachments(blob: Uint8Array | null): Uint8Array[] {
  if (blob === null) return [];
  const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.length);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    parts.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return parts;
}
