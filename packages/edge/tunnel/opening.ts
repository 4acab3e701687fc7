/**
 * Owns the sockets that will be the sides of a tunnel, from their first byte on: half-open, without delay, kept alive,
 * and read into buffers that are used again.
 */
import { connect, type Socket } from "node:net";
import { onread, ReadBuffer, readDirectly } from "../sockets/index.ts";
import { type ChunkMemory, ReusedReads } from "./memory.ts";

export interface StreamAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * It emits `data` as every socket does. What it emits must be given to a tunnel together with `memory`, or be copied: it is
 * overwritten once the tunnel has passed it on.
 */
export interface OpenedStream {
  readonly socket: Socket;
  readonly memory: ChunkMemory;
}

/** A peer that vanished without a word is noticed after this long, and ten more seconds. */
export const keepAliveMs = 60_000;

/** Connecting; `socket` tells by `connect` or `error`. */
export function connectStream({ host, port }: StreamAddress): OpenedStream {
  const reads = new ReadBuffer();
  const socket: Socket = connect({
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
    allowHalfOpen: true,
    // With `onread` a socket emits no data; who joins it to another expects the event.
    onread: onread(reads, (bytes) => socket.emit("data", reads.keep(reads.view(bytes)))),
  });
  return { socket, memory: new ReusedReads(reads) };
}

/** Of a connection that a server accepted with `pauseOnConnect`. It is read once somebody resumes it. */
export function acceptStream(accepted: Socket): OpenedStream {
  const reads = new ReadBuffer();
  const socket: Socket = readDirectly(accepted, {
    allowHalfOpen: true,
    onread: onread(reads, (bytes) => socket.emit("data", reads.keep(reads.view(bytes)))),
  });
  socket.pause();
  return { socket, memory: new ReusedReads(reads) };
}
