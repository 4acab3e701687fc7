/**
 * The services that need neither a process nor a hub: files, redirects and fixed answers. One target for each route, since
 * a route may remove its prefix.
 */
import type { Clock, Exchange, Random, Target } from "@tideway/base";
import { createFiles, type FilesTarget } from "@tideway/edge/files";
import type { AnyService } from "../config/index.ts";
import { fixedAnswer, redirect } from "./answers.ts";
import type { Log } from "./logs.ts";

interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** The services of the plan that answer by themselves, each made once. */
export class FixedTargets {
  readonly #surroundings: Surroundings;
  readonly #files = new Map<string, FilesTarget>();

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  target(name: string, service: AnyService, strip: string): Target {
    switch (service.kind) {
      case "files":
        return this.#filesTarget(name, service.options, strip);
      case "redirect":
        return redirect(name, service.options);
      case "respond":
        return fixedAnswer(name, service.options.respond);
      default:
        throw new Error(`a service with ${service.kind} has a target of its own`);
    }
  }

  #filesTarget(name: string, options: Extract<AnyService, { kind: "files" }>["options"], strip: string): Target {
    let files = this.#files.get(name);
    if (files === undefined) {
      const { fallback, immutable } = options;
      const { clock, random, log } = this.#surroundings;
      files = createFiles({
        root: options.files,
        ...(fallback === undefined ? {} : { fallback }),
        ...(immutable === undefined ? {} : { immutable }),
        clock,
        random,
        logger: log,
      });
      this.#files.set(name, files);
    }
    const target = files;
    return {
      handle(exchange: Exchange) {
        exchange.service = name;
        target.handle(exchange, strip);
      },
    };
  }
}
