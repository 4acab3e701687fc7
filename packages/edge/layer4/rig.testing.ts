/**
 * For this room's tests: services of real servers behind a listener, all of it closed after each test. Never imported by
 * running code.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { connect as connectSocket, createServer } from "node:net";
import { afterEach } from "node:test";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { systemClock } from "@tideway/edge/clock";
import { connected, type Heard, hear } from "../tunnel/testing.ts";
import type { MemberAddress } from "../upstream/index.ts";
import { WatchedLog } from "../upstream/testing.ts";
import {
  createTcpListener,
  type Layer4Options,
  Layer4Service,
  type TcpListener,
  type TcpListenerOptions,
  type TcpRecord,
} from "./index.ts";

/** Closed after each test, the last opened first. */
export const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

/** A server of an instance: its sockets are the test's, half-open and not read yet. */
export class TcpServer {
  readonly #server: Server;
  readonly sockets: Socket[] = [];
  readonly #waiting: ((socket: Socket) => void)[] = [];

  private constructor(onSocket: (socket: Socket) => void) {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {});
      this.sockets.push(socket);
      onSocket(socket);
      this.#waiting.shift()?.(socket);
    });
  }

  static async open(onSocket: (socket: Socket) => void = () => {}, port = 0): Promise<TcpServer> {
    const self = new TcpServer(onSocket);
    self.#server.listen(port, "127.0.0.1");
    await once(self.#server, "listening");
    open.push(self);
    return self;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The next connection, those of probes included. */
  next(): Promise<Socket> {
    const { promise, resolve } = Promise.withResolvers<Socket>();
    this.#waiting.push(resolve);
    return promise;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** Sends back what it gets, and FIN for FIN. */
export function echo(socket: Socket): void {
  socket.pipe(socket);
}

/** A process of its own: `script` has a `server` that is not listening yet, and `told(port)` for when it is. */
async function serverProcess(script: string): Promise<{ port: number; kill(): Promise<void> }> {
  const before = `const server = require("node:net").createServer({ pauseOnConnect: true });
    const told = () => require("node:fs").writeSync(1, String(server.address().port));`;
  const child = spawn(process.execPath, ["-e", before + script], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await exited;
  };
  open.push({ close: kill });
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  return { port: Number(said.toString()), kill };
}

/** Answers at once with "half an ans", and reads nothing. */
export function deafServer(): Promise<{ port: number; kill(): Promise<void> }> {
  return serverProcess(`server.on("connection", (socket) => socket.write("half an ans"));
    server.listen(0, "127.0.0.1", told);`);
}

/** A port of a process that listens and does nothing else, with as many connections waiting as its system lets wait. */
export async function stuckServer(): Promise<number> {
  const { port } = await serverProcess(`server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
    told();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });`);
  // The queue takes one more than its bound; to the next the system does not answer.
  const waiting = [await connected(port), await connected(port)];
  open.push({ close: () => waiting.map((socket) => socket.destroy()) });
  return port;
}

/** Tells its name, and no more. */
export function tells(name: string): (socket: Socket) => void {
  return (socket) => {
    socket.resume();
    socket.write(name);
  };
}

/** A service of instances "i0", "i1" …, all up: their probes go to a port of their own, and on a clock that stands still. */
export async function serviceOf(
  log: WatchedLog,
  addresses: readonly (Partial<MemberAddress> & { port: number })[],
  options: Partial<Layer4Options> = {},
): Promise<Layer4Service> {
  const pulse = await TcpServer.open();
  const service = new Layer4Service({
    name: "db",
    transport: "tcp",
    clock: new FakeClock(),
    random: new SeededRandom(1),
    logger: log,
    balance: "round-robin",
    healthPort: pulse.port,
    ...options,
  });
  open.push(service);
  for (const [i, { id = `i${i}`, host = "127.0.0.1", port, weight = 1 }] of addresses.entries()) {
    service.add({ id, host, port, weight });
    await log.state(id, "up");
  }
  return service;
}

export interface TcpRig {
  readonly listener: TcpListener;
  readonly service: Layer4Service;
  readonly log: WatchedLog;
  readonly records: TcpRecord[];
  readonly port: number;
  connect(): Promise<Socket>;
  /** What a client hears that may be reset before it knows that it was connected. */
  attempt(): Heard;
}

/** A TCP service of instances "i0", "i1" …, all up. */
export async function tcpRig(
  addresses: readonly (Partial<MemberAddress> & { port: number })[],
  options: Partial<TcpListenerOptions> = {},
  settings: Partial<Layer4Options> = {},
): Promise<TcpRig> {
  const log = new WatchedLog();
  const service = options.service ?? (await serviceOf(log, addresses, settings));
  const records: TcpRecord[] = [];
  const listener = createTcpListener({
    host: "127.0.0.1",
    port: 0,
    clock: systemClock,
    logger: log,
    onRecord: (record) => records.push(record),
    ...options,
    service,
  });
  const { port } = await listener.listen();
  const clients: Socket[] = [];
  open.push({
    close: async () => {
      for (const client of clients) client.destroy();
      service.close();
      await listener.close({ graceMs: 0 });
    },
  });
  const connect = async (): Promise<Socket> => {
    const client = await connected(port);
    clients.push(client);
    return client;
  };
  const attempt = (): Heard => {
    const client = connectSocket({ port, host: "127.0.0.1" });
    clients.push(client);
    return hear(client);
  };
  return { listener, service, log, records, port, connect, attempt };
}
