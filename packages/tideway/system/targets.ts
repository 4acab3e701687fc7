/**
 * What answers each route of a plan: a proxy to a service's instances, files, the real-time transports, a redirect or a
 * fixed answer. Owns the choice; what a target does is its room's.
 */
import type { Exchange, Target } from "@tideway/base";
import { loopClock, systemClock, systemRandom } from "@tideway/edge/clock";
import type { Compression } from "@tideway/edge/compression";
import { createFiles, type FilesTarget } from "@tideway/edge/files";
import { createProxy, type ProxyTarget } from "@tideway/edge/proxy";
import { compileLocation, type RouteMatch } from "@tideway/engine/routing";
import type { BalancedService, Plan, Route, RouteParts, ServiceOf } from "../config/index.ts";
import { answerError, fixedAnswer, redirect } from "./answers.ts";
import type { Applications } from "./applications.ts";
import { proxyOptionsOf, proxyRouteOf } from "./balanced.ts";
import type { Log } from "./logs.ts";
import type { RealtimeServices } from "./realtime-services.ts";

export interface TargetSources {
  readonly applications: Applications;
  readonly realtime: RealtimeServices;
  readonly compression: Compression;
  readonly log: Log;
}

/** The targets of one plan; what several routes lead to is made once. */
export class RouteTargets {
  readonly #plan: Plan;
  readonly #sources: TargetSources;
  readonly #proxies = new Map<string, ProxyTarget>();
  readonly #files = new Map<string, FilesTarget>();

  constructor(plan: Plan, sources: TargetSources) {
    this.#plan = plan;
    this.#sources = sources;
  }

  target(match: RouteMatch<Route>, parts: RouteParts): Target {
    const { options, service: name } = match;
    if (parts.location !== null) return redirect("", parts.location, options?.status ?? 308);
    if (options?.respond !== undefined) return fixedAnswer("", options.respond);
    const service = this.#plan.services.get(name)!;
    switch (service.kind) {
      case "command":
      case "upstreams":
        return this.#proxy(name, service).target(proxyRouteOf(match, parts, service));
      case "realtime":
        return this.#realtimeTarget(name, this.#clientFiles(match, parts, service.options));
      case "files":
        return this.#filesTarget(name, service.options, match);
      case "redirect":
        return redirect(name, locationOf(name, service.options.redirect), service.options.status);
      case "respond":
        return fixedAnswer(name, service.options.respond);
    }
  }

  #proxy(name: string, config: BalancedService): ProxyTarget {
    let proxy = this.#proxies.get(name);
    if (proxy === undefined) {
      const { applications, log } = this.#sources;
      const service = applications.serviceOf(name)!;
      proxy = createProxy({ ...proxyOptionsOf(config, this.#plan), service, logger: log, clock: loopClock });
      this.#proxies.set(name, proxy);
    }
    return proxy;
  }

  /** The browser's client is served by the application, as Socket.IO's `serveClient` has it. */
  #clientFiles(
    match: RouteMatch<Route>,
    parts: RouteParts,
    { realtime: { service: name } }: ServiceOf<"realtime">,
  ): Target {
    const service = this.#plan.services.get(name) as BalancedService;
    return this.#proxy(name, service).target(proxyRouteOf(match, parts, service));
  }

  /** Asked anew with each request: a changed service is opened anew while its routes stay. */
  #realtimeTarget(name: string, clientFiles: Target): Target {
    const { realtime } = this.#sources;
    return {
      handle(exchange) {
        if (isClientFile(exchange.head.path)) {
          clientFiles.handle(exchange);
          return;
        }
        const service = realtime.get(name);
        if (service === undefined) answerError(exchange, "HTTP_UNAVAILABLE", `service ${name}`);
        else service.target.handle(exchange);
      },
    };
  }

  #filesTarget(name: string, options: ServiceOf<"files">, match: RouteMatch<Route>): Target {
    let files = this.#files.get(name);
    if (files === undefined) {
      const { fallback, immutable } = options;
      files = createFiles({
        root: options.files,
        ...(fallback === undefined ? {} : { fallback }),
        ...(immutable === undefined ? {} : { immutable }),
        clock: systemClock,
        random: systemRandom,
        logger: this.#sources.log,
      });
      this.#files.set(name, files);
    }
    const target = files;
    return {
      handle(exchange: Exchange) {
        exchange.service = name;
        target.handle(exchange, match.strip, match.rewrite);
      },
    };
  }
}

/** `socket.io.js` and its kin. No other path below the real-time one reaches the application by this way. */
function isClientFile(path: string): boolean {
  return /\/socket\.io(\.esm|\.msgpack)?(\.min)?\.js(\.map)?$/.test(path);
}

function locationOf(name: string, redirect: string) {
  const location = compileLocation(redirect, ["services", name, "redirect"]);
  if (!location.ok) throw new Error("the configuration was checked");
  return location;
}
