/** What a client case works with. It runs in Node and in browsers as it stands: what differs is among the `Tools`. */
import type { io, Manager, Socket } from "socket.io-client";

type Options = Parameters<typeof io>[1] & object;

export interface Tools {
  readonly io: typeof io;
  readonly Manager: typeof Manager;
  /** Where the server is. */
  readonly url: string;
  /** The transports that this run is about. */
  readonly transports: readonly ("polling" | "websocket")[];
  readonly inBrowser: boolean;
  /** Whether the page, if this is one, is of another origin than the server. */
  readonly crossOrigin: boolean;
}

export class Visit {
  readonly tools: Tools;
  readonly #sockets: Socket[] = [];

  constructor(tools: Tools) {
    this.tools = tools;
  }

  /** A client of its own, not to be reconnected unless asked for. */
  client(namespace = "", options: Options = {}): Socket {
    const { io, url, transports } = this.tools;
    const own = { forceNew: true, reconnection: false, transports: [...transports], withCredentials: true };
    const socket = io(url + namespace, { ...own, ...options });
    this.#sockets.push(socket);
    return socket;
  }

  async connect(namespace = "", options: Options = {}): Promise<Socket> {
    const socket = this.client(namespace, options);
    await connected(socket);
    return socket;
  }

  /** The same, after the upgrade if there is to be one. */
  async settled(options: Options = {}): Promise<Socket> {
    const socket = await this.connect("", options);
    const { engine } = socket.io;
    const last = this.tools.transports.at(-1);
    if (engine.transport.name !== last) await new Promise<void>((resolve) => engine.once("upgrade", () => resolve()));
    return socket;
  }

  close(): void {
    for (const socket of this.#sockets) socket.disconnect();
  }
}

export function equal(actual: unknown, expected: unknown, what = ""): void {
  const [one, other] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (one !== other) throw new Error(`${what}: ${one} instead of ${other}`);
}

type Heard = { once(event: string, listener: (...args: never[]) => void): unknown };

// biome-ignore lint/suspicious/noExplicitAny: what a case expects of an event is what it then compares
export function next(emitter: Heard, event: string): Promise<any[]> {
  return new Promise((resolve) => emitter.once(event, (...args: unknown[]) => resolve(args)));
}

export async function connected(socket: Socket): Promise<void> {
  const failed = next(socket as never, "connect_error").then(([error]) => {
    throw error;
  });
  await Promise.race([next(socket as never, "connect"), failed]);
}

/** The event's arguments as the application gave them: behind them may stand the offset for a recovery. */
export function own<T>(args: readonly T[], count: number): T[] {
  return args.slice(0, count);
}

/** Of what a client gets as binary: an ArrayBuffer in browsers, a Buffer in Node. */
export function bytesOf(value: unknown): number[] {
  return [...new Uint8Array(value as ArrayBuffer)];
}

export const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export type ClientCase = (visit: Visit) => Promise<void>;
