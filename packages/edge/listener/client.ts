/**
 * Who is at the other end of a socket, and who is behind it when that is a trusted proxy.
 */
import type { Socket } from "node:net";
import type { AddressRanges, ClientInfo, FieldList } from "@tideway/base";
import { forwardedClient, forwardedRequestId } from "@tideway/wire/fields";

export function clientOf(socket: Socket): ClientInfo {
  return {
    address: plainAddress(socket.remoteAddress ?? ""),
    port: socket.remotePort ?? 0,
    localPort: socket.localPort ?? 0,
    localAddress: plainAddress(socket.localAddress ?? ""),
    secure: "encrypted" in socket,
  };
}

/** The other end of one connection: the client of its requests, or a trusted proxy that tells whose they are. */
export class Peer {
  /** Whose connection it is: the other end's of the socket, or whom its PROXY header named. */
  readonly info: ClientInfo;
  /** The other end of the socket. */
  readonly address: string;
  /** What the census counts it under. */
  readonly seat: string;
  #trusts: AddressRanges | null = null;

  constructor(info: ClientInfo, address: string, seat: string, trusts: AddressRanges | null) {
    this.info = info;
    this.address = address;
    this.seat = seat;
    this.trust(trusts);
  }

  /** Proxies in front whose word is believed, from the next request on; null for none. */
  trust(trusts: AddressRanges | null): void {
    this.#trusts = trusts?.has(this.info.address) === true ? trusts : null;
  }

  /** The client of a request with these fields; what a proxy does not say is as seen from here. */
  clientOf(fields: FieldList): ClientInfo {
    const via = this.info;
    if (this.#trusts === null) return via;
    const said = forwardedClient(fields, this.#trusts);
    const known = said !== null && said.address !== "";
    return {
      address: known ? said.address : via.address,
      port: known ? said.port : via.port,
      localPort: via.localPort,
      ...(via.localAddress === undefined ? {} : { localAddress: via.localAddress }),
      secure: said?.secure ?? via.secure,
      via,
    };
  }

  /** The id that a trusted proxy gave the request; empty when the request is to get a new one. */
  requestId(fields: FieldList): string {
    return this.#trusts === null ? "" : forwardedRequestId(fields);
  }
}

/** An IPv4 client of a socket that listens on both families is shown as what it is. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
