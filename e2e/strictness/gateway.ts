/**
 * A gateway as the system wires it, in this process: a listener, a table of routes, a proxy to each of two services that
 * record. Its clock stands still, so that no limit of time interferes; every refusal that it logs is kept.
 */
import { limits } from "@tideway/base";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { createListener, type Listener } from "@tideway/edge/listener";
import { createProxy } from "@tideway/edge/proxy";
import { Service, type ServiceOptions } from "@tideway/edge/upstream";
import { compileRoutes } from "@tideway/engine/routing";
import { tick } from "./client.ts";

/** Timers wait to be moved; the end of a tick is the real one, for the sockets are real. */
export class SocketClock extends FakeClock {
  override defer(run: () => void): void {
    setImmediate(run);
  }
}

export interface Refusal {
  readonly code: string;
  readonly rule: number;
  readonly section: string;
}

export class Gateway {
  readonly port: number;
  readonly clock: SocketClock;
  readonly services: ReadonlyMap<string, Service>;
  /** As logged, in order. */
  readonly refusals: Refusal[];
  readonly #listener: Listener;

  private constructor(
    port: number,
    clock: SocketClock,
    services: ReadonlyMap<string, Service>,
    refusals: Refusal[],
    listener: Listener,
  ) {
    this.port = port;
    this.clock = clock;
    this.services = services;
    this.refusals = refusals;
    this.#listener = listener;
  }

  /** `/admin` of every host, and all of b.test, belong to the service "admin" if there is one; the rest to "web". */
  static async open(
    ports: { readonly web: number; readonly admin?: number },
    own: Partial<ServiceOptions> = {},
  ): Promise<Gateway> {
    const clock = new SocketClock();
    const refusals: Refusal[] = [];
    const logger = {
      debug() {},
      info(fields: object, message: string) {
        if (message.startsWith("request refused")) refusals.push(fields as Refusal);
      },
      warn() {},
      error(fields: object, message: string) {
        throw new Error(`${message}: ${JSON.stringify(fields)}`, { cause: (fields as { err?: unknown }).err });
      },
    };
    const services = new Map<string, Service>();
    for (const [name, port] of Object.entries(ports)) {
      const random = new SeededRandom(1);
      const service = new Service({
        name,
        clock,
        random,
        logger,
        eject: { failures: 1e9 },
        health: { everyMs: 1e9 },
        ...own,
      });
      services.set(name, service);
      service.add({ id: `${name}-1`, host: "127.0.0.1", port });
      while (service.status().instances[0]!.state !== "up") await tick();
    }
    const proxies = new Map([...services].map(([name, service]) => [name, createProxy({ service, logger, clock })]));
    const admin = ports.admin === undefined ? "web" : "admin";
    const sites = { "*": { "/": "web", "/admin": admin }, "b.test": { "/": admin } };
    const compiled = compileRoutes(sites, { services: new Set(services.keys()), ports: new Set() });
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults));
    const listener = createListener({
      host: "127.0.0.1",
      port: 0,
      clock,
      random: new SeededRandom(2),
      logger,
      limits,
      onExchange(exchange) {
        const { head, client } = exchange;
        proxies.get(compiled.table.route(head, client.localPort)!.service)!.handle(exchange);
      },
    });
    const { port } = await listener.listen();
    return new Gateway(port, clock, services, refusals, listener);
  }

  async close(): Promise<void> {
    const closing = this.#listener.close({ graceMs: 0 });
    this.clock.advance(1);
    await closing;
    for (const service of this.services.values()) service.close();
  }
}
