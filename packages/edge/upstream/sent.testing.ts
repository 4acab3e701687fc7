/**
 * For this room's tests: services with raw servers behind, and requests to them whose fate is recorded. Never imported by
 * running code.
 */
import type { Socket } from "node:net";
import { afterEach } from "node:test";
import type { Clock, FieldList } from "@tideway/base";
import { SeededRandom } from "@tideway/base/testing";
import { systemClock } from "@tideway/edge/clock";
import { encodeRequestHead, Framing, type ResponseHead } from "@tideway/wire/http1";
import {
  type Asker,
  type LeaseFault,
  type LeaseHandler,
  Service,
  type ServiceOptions,
  type UpstreamConnection,
  type UpstreamFault,
} from "./index.ts";
import { asker, type RawAnswer, RawServer, WatchedLog } from "./testing.ts";

/** A whole small answer. */
export const ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/** One request, and what came of it. */
export class Sent implements LeaseHandler {
  readonly trail: string[] = [];
  connection: UpstreamConnection | null = null;
  fault: UpstreamFault | null = null;
  readonly over: Promise<string>;
  #resolve: (how: string) => void = () => {};

  readonly #bodyBytes: number;

  /** A POST when it has a body, which is then the test's to send. */
  constructor(service: Service, fresh = false, by: Asker = asker(), bodyBytes = 0) {
    this.#bodyBytes = bodyBytes;
    this.over = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    service.lease(this, by, [], fresh);
  }

  onLease(connection: UpstreamConnection): void {
    this.connection = connection;
    const [method, framing] = this.#bodyBytes === 0 ? ["GET", Framing.none] : ["POST", this.#bodyBytes];
    connection.sendHead(this, encodeRequestHead(method, "/", ["host", "a.test"], framing), method, framing, false);
  }
  onLeaseFailed(fault: LeaseFault): void {
    this.#resolve(fault);
  }
  onUpstreamInterim(status: number): void {
    this.trail.push(`interim ${status}`);
  }
  onUpstreamHead(head: ResponseHead): void {
    this.trail.push(`head ${head.status}`);
  }
  onUpstreamBody(chunk: Buffer): void {
    this.trail.push(`body ${chunk.toString("latin1")}`);
  }
  onUpstreamEnd(_trailers: FieldList): void {
    this.#resolve("end");
  }
  onUpstreamDrain(): void {}
  onUpstreamUpgrade(_head: ResponseHead, socket: Socket): void {
    socket.destroy();
    this.#resolve("upgrade");
  }
  onUpstreamFault(fault: UpstreamFault): void {
    this.fault = fault;
    this.#resolve(fault.code);
  }
}

/** Closed after each test, in this order. */
export const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

export async function raw(answer: RawAnswer, port = 0): Promise<RawServer> {
  const server = await RawServer.open(answer, port);
  open.push(server);
  return server;
}

export function serviceOf(options: Partial<ServiceOptions> & { clock?: Clock } = {}): {
  service: Service;
  log: WatchedLog;
} {
  const log = new WatchedLog();
  const service = new Service({
    name: "web",
    clock: systemClock,
    random: new SeededRandom(1),
    logger: log,
    ...options,
  });
  open.unshift(service);
  return { service, log };
}

export async function withInstance(
  server: { readonly port: number },
  options: Partial<ServiceOptions> = {},
): Promise<{ service: Service; log: WatchedLog }> {
  const made = serviceOf(options);
  made.service.add({ id: "a", host: "127.0.0.1", port: server.port });
  await made.log.state("a", "up");
  return made;
}

/** Turns of the event loop until it holds: the test's own deadline ends a wait for what never comes. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}
