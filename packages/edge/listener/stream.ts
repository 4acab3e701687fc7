/**
 * What an upgrade hands over: the socket itself, as if nobody had listened to it.
 */
import { Socket } from "node:net";
import type { ByteStream } from "@tideway/base";

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
