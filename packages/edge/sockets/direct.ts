/**
 * Owns how a socket's bytes go past its stream. Reading: straight from the read into one callback (the documented `onread` of node:net),
 * past the stream's own buffer, its events and a fresh 64 KiB of memory per read. Such a socket emits no `data`: whoever
 * hands it on does so for it. Everything else of the socket stays as it is: `pause`, `resume`, `end`, errors, writing.
 */

import { type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net";
import type { DuplexOptions } from "node:stream";
import type { ByteStream } from "@tideway/base";
import type { ReadBuffer } from "./readbuffer.ts";

/** The option `onread` of a socket whose reads land in `reads`; `callback` looks at `reads.view(bytesRead)` at once. */
export function onread(reads: ReadBuffer, callback: (bytesRead: number) => void): OnReadOpts {
  return {
    // Node takes anything but bytes as "where the last one went"; the types do not say so.
    buffer: () => reads.renew() as Uint8Array,
    callback(bytesRead) {
      callback(bytesRead);
      return true;
    },
  };
}

/** The slice of node:net that is not declared: the connection itself, which a socket may be made around. */
interface WithHandle {
  _handle: unknown;
}

/**
 * The connection of `accepted`, which came paused and of which nothing was read (`pauseOnConnect`), as another socket that
 * is read at once through `onread`: servers have no such option for the sockets that they accept. `accepted` is an empty
 * shell afterwards. The option `handle` is Node's own way to do this (in `net`, `tls`, `cluster`, `http2`).
 */
export function readDirectly(accepted: Socket, options: SocketConstructorOpts & DuplexOptions): Socket {
  const shell = accepted as unknown as WithHandle;
  const handle = shell._handle;
  shell._handle = null;
  return new Socket({ ...options, handle } as SocketConstructorOpts);
}

/** A socket that nothing waits in: what is given to its `_write` now is next. */
export type DirectSocket = ByteStream & Pick<Socket, "_write" | "destroy">;

/**
 * Whether bytes may be given to the system past the stream's queue, by `_write`, which is a stream's documented other side.
 * The queue's bookkeeping (a state, a tick and a callback for each write) costs a third of what a small write takes in user
 * space. Its callback comes at once when the system took all of them; until it has come, nothing else may be written so.
 */
export function takesDirectly(stream: ByteStream): stream is DirectSocket {
  if (!(stream instanceof Socket)) return false;
  return stream.writableLength === 0 && stream.writableCorked === 0 && stream.writable && !stream.connecting;
}
