/** For tests over real sockets: our transports behind the listener with a hub that echoes, and the reference beside it. */
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { limits, silentLogger } from "@tideway/base";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import { createListener } from "@tideway/edge/listener";
import type { Connection, Line, Outgoing } from "@tideway/engine/hub";
import { Server as Reference, type ServerOptions as ReferenceOptions } from "engine.io";
import { createTransports, type TransportsOptions } from "./index.ts";

export interface RunningServer {
  readonly port: number;
  close(): Promise<void>;
}

export const settings = { pingIntervalMs: 300, pingTimeoutMs: 200, messageBytesMax: 100_000, upgradeTimeoutMs: 1_000 };

export type HubFor = (line: Line) => Connection;

export function packet(text: string, attachments: readonly Uint8Array[] = []): Outgoing {
  const bytes = attachments.reduce((sum, data) => sum + data.length, Buffer.byteLength(text));
  return { text, attachments, volatile: false, compress: true, bytes, wire: null };
}

/** Sends every message back as it came. */
export const echoing: HubFor = (line) => ({
  text: (data) => line.send(packet(data)),
  // The contract has no binary message of its own: an attachment follows its packet.
  binary: (data) => line.send(packet("binary", [data])),
  upgraded() {},
  closed() {},
});

/** Our transports behind the real listener. */
export async function startOurs(hub: HubFor, options: Partial<TransportsOptions> = {}): Promise<RunningServer> {
  const base = { path: "/engine.io", clock: systemClock, random: systemRandom, open: hub, ...settings, ...options };
  const transports = createTransports(base);
  const listener = createListener({
    host: "127.0.0.1",
    port: 0,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    limits,
    onExchange: (exchange) => transports.handle(exchange),
  });
  const { port } = await listener.listen();
  return {
    port,
    close: async () => {
      transports.close();
      await listener.close({ graceMs: 0 });
    },
  };
}

/** The reference with the same settings, sending every message back. */
export async function startReference(options: ReferenceOptions = {}): Promise<RunningServer> {
  const http = createServer();
  const engine = new Reference({
    pingInterval: settings.pingIntervalMs,
    pingTimeout: settings.pingTimeoutMs,
    maxHttpBufferSize: settings.messageBytesMax,
    upgradeTimeout: settings.upgradeTimeoutMs,
    ...options,
  });
  engine.attach(http);
  engine.on("connection", (socket) => {
    // A session that ends without a poll keeps the reference's process alive for 30 s otherwise.
    Object.assign(socket.transport, { closeTimeout: 0 });
    socket.on("message", (data: string | Buffer) => {
      if (typeof data !== "string") socket.send("binary");
      socket.send(data);
    });
  });
  await new Promise<void>((done) => http.listen(0, "127.0.0.1", done));
  return {
    port: (http.address() as AddressInfo).port,
    close: () =>
      new Promise((done) => {
        engine.close();
        http.closeAllConnections();
        http.close(() => done());
      }),
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}

export interface PendingAnswer extends Promise<Answer> {
  /** Breaks the connection without waiting for the answer. */
  abort(): void;
}

/** One request on a connection of its own. Rejects when the connection breaks. */
export function ask(
  port: number,
  query: string,
  how: { method?: string; body?: string | Buffer; headers?: Record<string, string> } = {},
): PendingAnswer {
  const { method = "GET", body, headers = {} } = how;
  const req = httpRequest({ host: "127.0.0.1", port, path: `/engine.io/${query}`, method, headers, agent: false });
  const answer = new Promise<Answer>((done, fail) => {
    req.on("error", fail);
    req.on("response", (res) => {
      const chunks: Buffer[] = [];
      res.on("data", (chunk: Buffer) => chunks.push(chunk));
      res.on("error", fail);
      res.on("end", () =>
        done({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(chunks).toString("utf8") }),
      );
    });
    req.end(body);
  });
  answer.catch(() => {});
  return Object.assign(answer, { abort: () => void req.socket?.resetAndDestroy() });
}
