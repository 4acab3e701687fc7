/**
 * Owns the difference between a connection that an instance did not take and one that this machine could not even try.
 */

/** Out of descriptors, ports or memory: it says nothing about who is at the other end. */
const own: ReadonlySet<string | undefined> = new Set(["EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS", "ENOMEM"]);

export function isOwnFault(code: string | undefined): boolean {
  return own.has(code);
}
