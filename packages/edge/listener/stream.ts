/**
 * A client's socket, before and after us: how it is read from its first byte on, and what an upgrade hands over, which is
 * the socket itself as if nobody had listened to it.
 */
import { Socket } from "node:net";
import type { ByteStream } from "@tideway/base";
import { onread, ReadBuffer, readDirectly } from "../sockets/index.ts";
import { WRITE_BUFFER_BYTES } from "./contract.ts";

/** Who is told what was read. */
export interface Reader {
  /** `view` is overwritten by the next read, unless `reads` is asked to keep it. */
  onRead(view: Buffer): void;
}

/** A client's socket, read from now on: first by whoever wants its PROXY header, then by its connection. */
export class Incoming {
  readonly reads = new ReadBuffer();
  readonly socket: Socket;
  /** To be set in the tick that made this. */
  reader: Reader | null = null;

  constructor(accepted: Socket) {
    this.socket = readDirectly(accepted, {
      allowHalfOpen: true,
      writableHighWaterMark: WRITE_BUFFER_BYTES,
      onread: onread(this.reads, (bytesRead) => this.reader?.onRead(this.reads.view(bytesRead))),
    });
  }
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
