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

/** Whom a client's socket tells what happens to it. */
export interface SocketOwner {
  onSocketDrain(): void;
  onSocketEnd(): void;
  onSocketError(error: Error): void;
  onSocketClose(): void;
}

const owner = Symbol("owner");
type Owned = Socket & { [owner]?: SocketOwner };

// The same functions for all sockets: closures of each connection would take a tenth of an idle one's memory.
function onDrain(this: Owned): void {
  this[owner]?.onSocketDrain();
}
function onEnd(this: Owned): void {
  this[owner]?.onSocketEnd();
}
function onError(this: Owned, error: Error): void {
  this[owner]?.onSocketError(error);
}
function onClose(this: Owned): void {
  this[owner]?.onSocketClose();
}

export function own(socket: Socket, by: SocketOwner): void {
  (socket as Owned)[owner] = by;
  socket.on("drain", onDrain).on("end", onEnd).on("error", onError).on("close", onClose);
}

/** Nothing is told any more. */
export function disown(socket: Socket): void {
  delete (socket as Owned)[owner];
  socket.off("drain", onDrain).off("end", onEnd).off("error", onError).off("close", onClose);
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
