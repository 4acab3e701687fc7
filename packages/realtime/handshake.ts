/** What a client said when it came, as Socket.IO's users know it. */
import type { IncomingHttpHeaders } from "node:http";
import type { Handshake as HubHandshake } from "@tideway/engine/hub";
import type { Any } from "./typed-events.ts";

export interface Handshake {
  readonly headers: IncomingHttpHeaders;
  /** Date of the connection, as text. */
  readonly time: string;
  readonly address: string;
  /** Whether the client's page is of another site. */
  readonly xdomain: boolean;
  readonly secure: boolean;
  /** Milliseconds since the epoch. */
  readonly issued: number;
  readonly url: string;
  readonly query: Readonly<Record<string, string | string[] | undefined>>;
  /** What the client gave as `auth`: never trust it before you checked it. */
  auth: { [key: string]: Any };
}

/** From the hub's: `auth` is the JSON text of the CONNECT packet. */
export function readHandshake(handshake: HubHandshake, auth: string): Handshake {
  return {
    ...handshake,
    time: new Date(handshake.issued).toString(),
    auth: auth === "" ? {} : (JSON.parse(auth) as Handshake["auth"]),
  };
}
