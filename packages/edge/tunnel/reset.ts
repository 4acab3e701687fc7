/**
 * Owns how a stream is broken off so that its other end can tell: with a reset, where it is TCP.
 */
import { Socket } from "node:net";
import type { ByteStream } from "@tideway/base";

/**
 * Ends it with RST, and throws away what is still queued for it. A stream that knows no reset (TLS, which marks a clean end
 * by itself, or none of the network's) is destroyed.
 */
export function resetStream(stream: ByteStream): void {
  if (stream.destroyed) return;
  const isTcp = stream instanceof Socket && !("encrypted" in stream) && stream.remoteFamily !== undefined;
  if (!isTcp) stream.destroy();
  // While its FIN is on the way libuv refuses to reset, and Node would then lose the descriptor.
  else if (stream.writableEnded && !stream.writableFinished && stream.writableLength === 0)
    stream.once("finish", () => resetStream(stream));
  else stream.resetAndDestroy();
}
