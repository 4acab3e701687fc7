/**
 * For tests of rooms that join connections: pairs of connected sockets, and what came out of one. Never imported by running
 * code.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A server on a free port of 127.0.0.1 that does nothing with its connections but keep them half-open. */
export async function openServer(
  onSocket: (socket: Socket) => void,
  port = 0,
): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    onSocket(socket);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

/** From the address `localAddress`, for those who count by address. */
export async function connected(port: number, host = "127.0.0.1", localAddress = "127.0.0.1"): Promise<Socket> {
  const socket = connect({ port, host, localAddress, allowHalfOpen: true });
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

export interface Heard {
  text: string;
  bytes: number;
  /** FIN came. */
  ended: boolean;
  /** The code of the error that ended it; empty while there is none. */
  error: string;
  readonly closed: Promise<void>;
}

/** Reads a socket and remembers. `keep` false counts the bytes only. */
export function hear(socket: Socket, keep = true): Heard {
  let close = (): void => {};
  const closed = new Promise<void>((resolve) => {
    close = resolve;
  });
  const heard: Heard = { text: "", bytes: 0, ended: false, error: "", closed };
  socket.on("data", (chunk: Buffer) => {
    heard.bytes += chunk.length;
    if (keep) heard.text += chunk.toString("latin1");
  });
  socket.on("end", () => {
    heard.ended = true;
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    heard.error = error.code ?? error.message;
  });
  socket.on("close", () => close());
  return heard;
}

/** Waits, turn by turn of the event loop, for what real sockets bring about. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}
