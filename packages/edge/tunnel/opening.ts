/**
 * Owns the opening of a connection that will be one side of a tunnel: half-open, without delay, kept alive, reading into
 * buffers of our own.
 */
import { connect, type Socket } from "node:net";
import { type ChunkMemory, ReadBuffers } from "./memory.ts";

export interface StreamAddress {
  readonly host: string;
  readonly port: number;
}

export interface OpenedStream {
  readonly socket: Socket;
  /** For the tunnel. */
  readonly memory: ChunkMemory;
}

/** A peer that vanished without a word is noticed after this long, and ten more seconds. */
export const keepAliveMs = 60_000;

/**
 * Connecting; `socket` tells by `connect` or `error`. It emits `data` as every socket does. What it emits must be given to a tunnel
 * with `memory`, or be looked at within the event only.
 */
export function connectStream(address: StreamAddress): OpenedStream {
  const memory = new ReadBuffers();
  const socket = connect({
    host: address.host,
    port: address.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: keepAliveMs,
    allowHalfOpen: true,
    onread: {
      buffer: () => memory.next(),
      callback: (bytes) => {
        // With `onread` a socket emits no data; who joins it to another expects the event.
        socket.emit("data", memory.chunk(bytes));
        return true;
      },
    },
  });
  return { socket, memory };
}
