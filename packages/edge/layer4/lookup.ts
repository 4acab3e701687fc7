/**
 * How the sockets of this room resolve the host of a datagram: an address is what it is, at once. Node's own way takes a
 * turn of the event loop for each datagram sent.
 */
import { type LookupOneOptions, lookup } from "node:dns";
import { isIP } from "node:net";

/** The family, as node:dgram passes it. */
export function numeric(
  host: string,
  family: number | LookupOneOptions,
  done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  const version = isIP(host);
  if (version !== 0) done(null, host, version);
  else lookup(host, typeof family === "number" ? { family } : family, done);
}
