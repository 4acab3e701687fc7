/**
 * What stands behind the gateway: servers of the test's own process, over real sockets, that say who they are and what they
 * were asked, or answer as the test wants. Owns who ends what a test has started.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { after } from "node:test";
import { until } from "../harness/tideway.ts";

/** Who ends what was started: a test, or a `describe` whose tests share it. */
export interface Owner {
  after(end: () => unknown): void;
}

/** For what `before` starts: to be called in the `describe` itself. What was started last ends first. */
export function suite(): Owner {
  const endings: (() => unknown)[] = [];
  after(async () => {
    for (const end of endings.toReversed()) await end();
  });
  return { after: (end) => void endings.push(end) };
}

export interface Origin {
  readonly port: number;
  /** As the configuration names it. */
  readonly url: string;
  /** As `tideway status` names it. */
  readonly id: string;
  /** Every request that came; probes are answered and forgotten. */
  readonly seen: IncomingMessage[];
  /** Nobody listens there any more, and what was open is broken. */
  close(): Promise<void>;
}

/** What an origin says when it is told nothing else: who it is, and what it was asked. */
export interface Echo {
  readonly origin: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

export interface OriginOptions {
  /** Answers probes; all of them are fine unless given. */
  readonly probe?: RequestListener;
  /** Only for one that comes back to where it was. */
  readonly port?: number;
  /** 127.0.0.1 unless given. */
  readonly host?: string;
}

/** A server of Node's own. */
export async function origin(
  t: Owner,
  handle?: RequestListener,
  { probe = (_, answer) => void answer.end("fine"), port = 0, host = "127.0.0.1" }: OriginOptions = {},
): Promise<Origin> {
  const seen: IncomingMessage[] = [];
  const server = createServer((incoming, answer) => {
    if (incoming.headers["user-agent"] === "tideway-probe") return probe(incoming, answer);
    seen.push(incoming);
    if (handle !== undefined) return handle(incoming, answer);
    // One that breaks off wants no echo.
    echo(incoming, answer).catch(() => {});
  }).listen(port, host);
  await once(server, "listening");
  const bound = (server.address() as AddressInfo).port;
  const close = async () => {
    server.closeAllConnections();
    if (!server.listening) return;
    server.close();
    await once(server, "close");
  };
  t.after(close);
  return { port: bound, url: `http://${host}:${bound}`, id: `${host}:${bound}`, seen, close };
}

async function echo(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
  const body = Buffer.concat(await incoming.toArray()).toString();
  const { method, url, headers } = incoming;
  const { localAddress, localPort } = incoming.socket;
  answer.setHeader("content-type", "application/json");
  answer.end(JSON.stringify({ origin: `${localAddress}:${localPort}`, method, url, headers, body }));
}

export function origins(t: Owner, count: number, handle?: RequestListener): Promise<Origin[]> {
  return Promise.all(Array.from({ length: count }, () => origin(t, handle)));
}

/** Holds what it is asked until it is told to answer. */
export class Held {
  readonly #held: ServerResponse[] = [];

  readonly handle: RequestListener = (_, answer) => {
    this.#held.push(answer);
  };

  get count(): number {
    return this.#held.length;
  }

  async until(count: number): Promise<void> {
    await until(`${count} requests at the origin`, async () => this.count >= count);
  }

  release(): void {
    for (const answer of this.#held.splice(0)) answer.end("released");
  }
}

/** Accepts connections and hands them over; broken ones are nobody's fault. */
export async function tcpOrigin(t: Owner, handle: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    handle(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
