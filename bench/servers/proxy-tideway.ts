/** Tideway's gateway in front of the origin whose port is the argument: listener, routing, proxy; no access log, like its peers. */
import { limits, silentLogger, type Target } from "@tideway/base";
import { loopClock, systemRandom } from "@tideway/edge/clock";
import { createListener } from "@tideway/edge/listener";
import { createProxy } from "@tideway/edge/proxy";
import { Service } from "@tideway/edge/upstream";
import { compileRoutes, type RouteMatch } from "@tideway/engine/routing";
import { announce } from "./announce.ts";

const [origin] = process.argv.slice(2).map(Number);
const common = { clock: loopClock, random: systemRandom, logger: silentLogger };

const up = Promise.withResolvers<void>();
const service = new Service({
  ...common,
  name: "origin",
  onState: (_, state) => {
    if (state === "up") up.resolve();
  },
});
service.add({ id: "origin-1", host: "127.0.0.1", port: origin! });
const proxy = createProxy({ ...common, service });

const routes = compileRoutes({ "*": { "/": "origin" } }, { services: new Set(["origin"]), ports: new Set() });
if (!routes.ok) throw new Error(JSON.stringify(routes.faults));
const { table } = routes;
const targets = new Map<RouteMatch, Target>(table.matches().map((match) => [match, proxy]));
const listener = createListener({
  ...common,
  host: "127.0.0.1",
  port: 0,
  limits,
  onExchange(exchange) {
    const match = table.route(exchange.head, exchange.client.localPort);
    if (match === null) exchange.abort();
    else targets.get(match)!.handle(exchange);
  },
});
const { port } = await listener.listen();
await up.promise;
announce(port);
