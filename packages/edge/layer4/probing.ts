/**
 * Owns how instances of TCP and UDP services are asked whether they answer: by a connection, by a request, at their own
 * port or at another; or not at all, where nothing answers to an empty question. Then an instance counts as up from the
 * start, and only how it fares speaks for or against it.
 */
import type { Clock, Timer } from "@tideway/base";
import { defaultHealth, defaultProbe, type ProbeDone, type ProbeMaker, type ProbeTarget } from "../upstream/index.ts";
import type { Layer4Settings } from "./service.ts";

export class Probing {
  readonly #clock: Clock;
  readonly #byDefault: boolean;
  #settings: Layer4Settings;
  /** Those that are not asked, and who waits for their answer all the same. */
  readonly #silent = new Map<ProbeTarget, ProbeDone>();

  /** `byDefault`: instances are asked although nobody says how. */
  constructor(clock: Clock, byDefault: boolean, settings: Layer4Settings) {
    this.#clock = clock;
    this.#byDefault = byDefault;
    this.#settings = settings;
  }

  configure(settings: Layer4Settings): void {
    this.#settings = settings;
    if (!this.#asks) return;
    const waiting = [...this.#silent.values()];
    this.#silent.clear();
    // Nothing was asked, so nothing is learned; what comes next is a question.
    for (const done of waiting) done(null, "");
  }

  get #asks(): boolean {
    const { health, healthPort } = this.#settings;
    return this.#byDefault || health !== undefined || healthPort !== undefined;
  }

  readonly ask: ProbeMaker = (target, done) => {
    if (!this.#asks) return this.#trust(target, done);
    const { health, healthPort, proxyProtocol = null } = this.#settings;
    const probe = defaultProbe({ ...defaultHealth, ...health }, this.#clock, proxyProtocol);
    return probe({ host: target.host, port: healthPort ?? target.port }, done);
  };

  #trust(target: ProbeTarget, done: ProbeDone): { cancel(): void } {
    let timer: Timer | null = null;
    if (!this.#silent.has(target)) timer = this.#clock.after(0, () => done(true, ""));
    this.#silent.set(target, done);
    return {
      cancel: () => {
        timer?.cancel();
        // It drains or is gone: should it come back, it counts as up again.
        this.#silent.delete(target);
      },
    };
  }
}
