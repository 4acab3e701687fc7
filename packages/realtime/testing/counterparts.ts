/**
 * For tests: the reference server and ours behind one type, and stock clients on every transport. What a test says of
 * one it says of both.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { suite, test } from "node:test";
import { Server as Reference, type Socket as ReferenceSocket } from "socket.io";
import { type Socket as Client, io, type ManagerOptions, type SocketOptions } from "socket.io-client";
import { Server } from "../index.ts";
import { Edge } from "./edge.ts";

export type { Client, Reference, ReferenceSocket };
export type ClientOptions = Partial<ManagerOptions & SocketOptions>;
export type ServerOptions = ConstructorParameters<typeof Reference>[1];

export const servers: readonly (readonly [string, (http: HttpServer, options?: ServerOptions) => Reference])[] = [
  ["socket.io", (http, options) => new Reference(http, options)],
  // The cast is the claim that is tested: whoever has code for the one can run it on the other.
  ["tideway", (http, options) => new Server(http, options as object) as unknown as Reference],
  // As an application process at Tideway's edge, which has the clients.
  ["tideway over a link", (http, options) => Edge.open(http, options as object).join() as unknown as Reference],
];

export const transports: readonly (readonly [string, ClientOptions])[] = [
  ["polling", { transports: ["polling"] }],
  ["websocket", { transports: ["websocket"] }],
  ["the upgrade", { transports: ["polling", "websocket"] }],
];

/** One server with its clients, all closed by `close`. */
export class Stage {
  readonly io: Reference;
  readonly http: HttpServer;
  readonly #clients: Client[] = [];
  readonly #options: ClientOptions;

  private constructor(server: Reference, http: HttpServer, options: ClientOptions) {
    this.io = server;
    this.http = http;
    this.#options = options;
  }

  static async open(
    make: (http: HttpServer, options?: ServerOptions) => Reference,
    clientOptions: ClientOptions,
    serverOptions?: ServerOptions,
  ): Promise<Stage> {
    const http = createServer();
    const server = make(http, serverOptions);
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    // Over a link it has to find its hub first.
    if (Edge.of(http) !== undefined) await server.fetchSockets();
    return new Stage(server, http, clientOptions);
  }

  get address(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  /** A client that has not connected yet. */
  client(namespace = "/", options: ClientOptions = {}): Client {
    const client = io(this.address + namespace, {
      forceNew: true,
      reconnection: false,
      autoConnect: false,
      ...this.#options,
      ...options,
    });
    this.#clients.push(client);
    return client;
  }

  /** A connected client, moved to its last transport, and the server's socket for it. */
  async connect(namespace = "/", options: ClientOptions = {}): Promise<[Client, ReferenceSocket]> {
    const client = this.client(namespace, options);
    const nsp = this.io.of(namespace);
    const arrived = new Promise<ReferenceSocket>((resolve) => nsp.once("connection", resolve));
    client.connect();
    await connected(client);
    const socket = await arrived;
    assert.equal(socket.id, client.id);
    await settled(client);
    return [client, socket];
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.disconnect();
    await this.io.close();
    await Edge.of(this.http)?.close();
  }
}

export async function connected(client: Client): Promise<void> {
  await Promise.race([
    next(client, "connect"),
    next(client, "connect_error").then(([error]) => {
      throw error;
    }),
  ]);
}

async function settled(client: Client): Promise<void> {
  const { engine } = client.io;
  const wanted = (client.io.opts.transports as string[]).includes("websocket") ? "websocket" : "polling";
  if (engine.transport.name !== wanted) await new Promise<void>((resolve) => engine.once("upgrade", () => resolve()));
}

interface Emitter {
  once(event: string, listener: (...args: unknown[]) => void): unknown;
}

/** The arguments of the next `event`. */
// biome-ignore lint/suspicious/noExplicitAny: what a test expects of an event is what it then asserts
export function next(emitter: Emitter | Client | ReferenceSocket, event: string): Promise<any[]> {
  return new Promise((resolve) => (emitter as Emitter).once(event, (...args) => resolve(args)));
}

/** All that `client` hears until `last` comes: for saying that something did not. */
export async function heardUntil(client: Client, last: string): Promise<unknown[][]> {
  const heard: unknown[][] = [];
  const listener = (...args: unknown[]) => heard.push(args);
  client.onAny(listener);
  await next(client, last);
  client.offAny(listener);
  return heard;
}

export type Case = (stage: Stage) => Promise<void>;

/** The reference keeps a timer of 30 s in these, and with it this process. */
const notOnReference: ReadonlySet<string> = new Set([
  "a server that ends the line (polling)",
  "conn.close ends the line, and its reason is told to conn and sockets, in that order's reverse (polling)",
  "conn.close ends the line, and its reason is told to conn and sockets, in that order's reverse (the upgrade)",
]);

/** What an application at the edge cannot have, or must not. */
const notOverLink: ReadonlySet<string> = new Set([
  "conn tells of packets both ways, and of drains", // they pass at the edge
  "close ends every client and the http.Server", // the clients stay, for the next process
]);

/** Runs each case against all three servers, on each transport. */
export function runOnAll(cases: Readonly<Record<string, Case>>, serverOptions?: ServerOptions): void {
  for (const [server, make] of servers) {
    suite(server, { concurrency: 4 }, () => {
      for (const [transport, options] of transports) {
        for (const [rule, run] of Object.entries(cases)) {
          const name = `${rule} (${transport})`;
          if (server === "socket.io" && notOnReference.has(name)) continue;
          if (server === "tideway over a link" && notOverLink.has(rule)) continue;
          test(name, { timeout: 10_000 }, async () => {
            const stage = await Stage.open(make, options, serverOptions);
            try {
              await run(stage);
            } finally {
              await stage.close();
            }
          });
        }
      }
    });
  }
}
