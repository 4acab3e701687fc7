/**
 * A client's socket, before and after us: how it is read from its first byte on, and what an upgrade hands over, which is
 * the socket itself as if nobody had listened to it.
 */
import { Socket } from "node:net";
import type { ByteStream } from "@tideway/base";
import { onread, type ReadBuffer, readDirectly } from "../sockets/index.ts";
import { WRITE_BUFFER_BYTES } from "./contract.ts";

/** Reads from now on: `onRead` sees each read before the next one overwrites it, unless `reads` is asked to keep it. */
export function readAccepted(accepted: Socket, reads: ReadBuffer, onRead: (view: Buffer) => void): Socket {
  return readDirectly(accepted, {
    allowHalfOpen: true,
    writableHighWaterMark: WRITE_BUFFER_BYTES,
    onread: onread(reads, (bytesRead) => onRead(reads.view(bytesRead))),
  });
}

/** A line that is already lost, for an upgrade that came too late: it emits `close` and takes every call. */
export function lostStream(): ByteStream {
  const socket = new Socket();
  socket.destroy();
  return socket;
}

/** Stops reading until the new owner listens or calls `resume`, so that no byte falls between two owners. */
export function untouched(socket: Socket): Socket {
  socket.pause();
  // As node:http does for its upgrades: neither flowing nor explicitly paused, so that `on("data")` starts the flow.
  (socket as { readableFlowing: boolean | null }).readableFlowing = null;
  return socket;
}
