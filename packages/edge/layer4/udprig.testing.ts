/**
 * For this room's tests of UDP services: instances and clients that are real sockets, on a clock that stands still. Never
 * imported by running code.
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { until } from "../tunnel/testing.ts";
import { WatchedLog } from "../upstream/testing.ts";
import {
  createUdpListener,
  type Layer4Options,
  Layer4Service,
  type UdpListener,
  type UdpListenerOptions,
  type UdpRecord,
} from "./index.ts";
import { open } from "./rig.testing.ts";

/** What an instance does with a datagram. */
export type Reply = (server: UdpServer, text: string, from: RemoteInfo) => void;

export const echoes: Reply = (server, text, from) => server.send(text, from);
export const keepsStill: Reply = () => {};

export class UdpServer {
  readonly #socket: Socket;
  /** What came, and the port that it came from: another one for each session. */
  readonly heard: string[] = [];
  readonly ports: number[] = [];

  private constructor(socket: Socket, reply: Reply) {
    this.#socket = socket;
    socket.on("message", (datagram, from) => {
      this.heard.push(datagram.toString("latin1"));
      this.ports.push(from.port);
      reply(this, datagram.toString("latin1"), from);
    });
  }

  static async open(reply: Reply = echoes, port = 0): Promise<UdpServer> {
    const socket = createSocket("udp4");
    const self = new UdpServer(socket, reply);
    socket.bind(port, "127.0.0.1");
    await once(socket, "listening");
    open.push(self);
    return self;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  send(text: string, to: RemoteInfo): void {
    this.#socket.send(text, to.port, to.address);
  }

  async close(): Promise<void> {
    try {
      this.#socket.close();
    } catch {
      // The test closed it.
      return;
    }
    await once(this.#socket, "close");
  }
}

/** A client whose socket takes datagrams from the listener only. */
export class UdpClient {
  readonly #socket: Socket;
  readonly heard: string[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("message", (datagram) => this.heard.push(datagram.toString("latin1")));
    socket.on("error", () => {});
  }

  static async open(port: number): Promise<UdpClient> {
    const socket = createSocket("udp4");
    socket.connect(port, "127.0.0.1");
    await once(socket, "connect");
    const self = new UdpClient(socket);
    open.push({ close: () => socket.close() });
    return self;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  say(text: string): void {
    this.#socket.send(Buffer.from(text, "latin1"));
  }

  /** Says it and waits for one datagram more than before. */
  async ask(text: string): Promise<string> {
    const count = this.heard.length;
    this.say(text);
    await until(() => this.heard.length > count);
    return this.heard.at(-1)!;
  }
}

export interface UdpRig {
  readonly listener: UdpListener;
  readonly service: Layer4Service;
  readonly clock: FakeClock;
  readonly log: WatchedLog;
  readonly records: UdpRecord[];
  readonly port: number;
  client(): Promise<UdpClient>;
}

/** A UDP service of instances "i0", "i1" …, which count as up. */
export async function udpRig(
  addresses: readonly { port: number; host?: string }[],
  options: Partial<UdpListenerOptions> = {},
  settings: Partial<Layer4Options> = {},
): Promise<UdpRig> {
  const clock = new FakeClock();
  const log = new WatchedLog();
  const service = new Layer4Service({
    name: "dns",
    transport: "udp",
    clock,
    random: new SeededRandom(1),
    logger: log,
    balance: "round-robin",
    ...settings,
  });
  for (const [i, { host = "127.0.0.1", port }] of addresses.entries()) {
    service.add({ id: `i${i}`, host, port });
    clock.advance(0);
    await log.state(`i${i}`, "up");
  }
  const records: UdpRecord[] = [];
  const listener = createUdpListener({
    host: "127.0.0.1",
    port: 0,
    service,
    clock,
    logger: log,
    onRecord: (record) => records.push(record),
    ...options,
  });
  const { port } = await listener.listen();
  open.push({
    close: async () => {
      service.close();
      await listener.close({ graceMs: 0 });
    },
  });
  return { listener, service, clock, log, records, port, client: () => UdpClient.open(port) };
}
