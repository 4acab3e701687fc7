/**
 * Who is at the other end of a socket.
 */
import type { Socket } from "node:net";
import type { ClientInfo } from "@tideway/base";

export function clientOf(socket: Socket): ClientInfo {
  return {
    address: plainAddress(socket.remoteAddress ?? ""),
    port: socket.remotePort ?? 0,
    localPort: socket.localPort ?? 0,
    secure: "encrypted" in socket,
  };
}

/** An IPv4 client of a socket that listens on both families is shown as what it is. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
