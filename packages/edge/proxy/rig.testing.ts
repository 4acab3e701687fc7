/**
 * For this room's tests: a proxy to raw upstreams, all of it closed after each test. Never imported by running code.
 */
import { afterEach } from "node:test";
import type { RequestHead } from "@tideway/base";
import { SeededRandom } from "@tideway/base/testing";
import { systemClock } from "@tideway/edge/clock";
import { Service, type ServiceOptions } from "../upstream/index.ts";
import { type RawAnswer, RawServer, WatchedLog } from "../upstream/testing.ts";
import { createProxy, type ProxyOptions, type ProxyTarget } from "./index.ts";
import { FakeExchange } from "./testing.ts";

/** A whole small answer. */
export const ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/** Closed after each test, in this order. */
export const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

export interface Rig {
  readonly proxy: ProxyTarget;
  readonly service: Service;
  readonly log: WatchedLog;
}

/** A proxy to instances "i0", "i1" … of the service "web", all up. */
export async function rig(
  servers: readonly { port: number }[],
  service: Partial<ServiceOptions> = {},
  proxy: Partial<ProxyOptions> = {},
): Promise<Rig> {
  const log = new WatchedLog();
  const made = new Service({
    name: "web",
    clock: systemClock,
    random: new SeededRandom(1),
    logger: log,
    balance: "round-robin",
    ...service,
  });
  open.unshift(made);
  for (const [i, { port }] of servers.entries()) {
    made.add({ id: `i${i}`, host: "127.0.0.1", port });
    await log.state(`i${i}`, "up");
  }
  return { proxy: createProxy({ service: made, logger: log, clock: systemClock, ...proxy }), service: made, log };
}

export async function raw(answer: RawAnswer): Promise<RawServer> {
  const server = await RawServer.open(answer);
  open.push(server);
  return server;
}

export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

export async function ask(
  proxy: ProxyTarget,
  head: Partial<RequestHead> = {},
  ...body: string[]
): Promise<FakeExchange> {
  const exchange = new FakeExchange({ ...(body.length > 0 && { bodyLength: body.join("").length }), ...head });
  proxy.handle(exchange);
  if (exchange.head.bodyLength !== 0) exchange.send(...body);
  await exchange.over;
  return exchange;
}
