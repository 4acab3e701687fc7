/** What a client said when it came, as Socket.IO's users know it. */
import type { IncomingHttpHeaders } from "node:http";
import { inspect } from "node:util";
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
  return new ReadHandshake(handshake, auth) as unknown as Handshake;
}

/** What users see of a handshake: properties of its own, which they may list, copy, and set. */
type Shown = { -readonly [Name in keyof Handshake]: Handshake[Name] };
type Maker = (source: HubHandshake, auth: string) => unknown;

const makers: { readonly [Name in keyof Handshake]: Maker } = {
  headers: ({ headers }) => headers,
  time: ({ issued }) => new Date(issued).toString(),
  address: ({ address }) => address,
  xdomain: ({ xdomain }) => xdomain,
  secure: ({ secure }) => secure,
  issued: ({ issued }) => issued,
  url: ({ url }) => url,
  query: ({ query }) => query,
  auth: (_, auth) => (auth === "" ? {} : JSON.parse(auth)),
};

/**
 * Each property is made when somebody looks at it, and then stays what it was, for it may be changed. An application that
 * reads one header of each of its clients does not keep all that the client's browser sends.
 */
class ReadHandshake {
  readonly #source: HubHandshake;
  readonly #auth: string;
  #made: Partial<Shown> | null = null;

  constructor(source: HubHandshake, auth: string) {
    this.#source = source;
    this.#auth = auth;
    Object.defineProperties(this, properties);
  }

  read(name: keyof Handshake): unknown {
    const made = this.#made;
    if (made !== null && name in made) return made[name];
    const value = makers[name](this.#source, this.#auth);
    if (typeof value === "object") this.write(name, value);
    return value;
  }

  write(name: keyof Handshake, value: unknown): void {
    this.#made ??= {};
    (this.#made as Record<string, unknown>)[name] = value;
  }

  [inspect.custom](): object {
    return { ...this };
  }
}

/** The same functions for all handshakes. */
function property(name: keyof Handshake): PropertyDescriptor {
  return {
    configurable: true,
    enumerable: true,
    get(this: ReadHandshake) {
      return this.read(name);
    },
    set(this: ReadHandshake, value: unknown) {
      this.write(name, value);
    },
  };
}

const names = Object.keys(makers) as (keyof Handshake)[];
const properties: PropertyDescriptorMap = Object.fromEntries(names.map((name) => [name, property(name)]));
