/**
 * For this room's tests: the proxy behind the real listener, to real servers. Never imported by running code.
 */
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { limits } from "@tideway/base";
import { systemClock as clock, systemRandom as random } from "@tideway/edge/clock";
import { createListener, type ListenerOptions } from "@tideway/edge/listener";
import { Service, type ServiceOptions } from "../upstream/index.ts";
import { WatchedLog } from "../upstream/testing.ts";
import { createProxy, type ProxyOptions, type ProxyRoute, type ProxyTarget } from "./index.ts";
import { open } from "./rig.testing.ts";

export interface Gateway {
  readonly port: number;
  readonly service: Service;
  readonly proxy: ProxyTarget;
  readonly log: WatchedLog;
}

export interface GatewayOptions {
  readonly service?: Partial<ServiceOptions>;
  readonly proxy?: Partial<ProxyOptions>;
  readonly route?: ProxyRoute;
  readonly listener?: Partial<ListenerOptions>;
}

/** A listener whose every request goes to instances "i0", "i1" … at these ports, all up. */
export async function gateway(ports: readonly number[], options: GatewayOptions = {}): Promise<Gateway> {
  const log = new WatchedLog();
  const service = new Service({ name: "web", clock, random, logger: log, ...options.service });
  const proxy = createProxy({ service, logger: log, clock, ...options.proxy });
  const target = proxy.target(options.route ?? {});
  const listener = createListener({
    host: "127.0.0.1",
    port: 0,
    clock,
    random,
    logger: log,
    limits,
    onExchange: (exchange) => target.handle(exchange),
    ...options.listener,
  });
  const { port } = await listener.listen();
  open.unshift({ close: () => service.close() }, { close: () => listener.close({ graceMs: 0 }) });
  for (const [i, instance] of ports.entries()) {
    service.add({ id: `i${i}`, host: "127.0.0.1", port: instance });
    await log.state(`i${i}`, "up");
  }
  return { port, service, proxy, log };
}

/** A stock server; resolves with its port. */
export async function origin(listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push({
    close() {
      server.closeAllConnections();
      server.close();
    },
  });
  return (server.address() as AddressInfo).port;
}
