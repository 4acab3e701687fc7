/**
 * Owns how instances of TCP and UDP services are asked whether they answer: by a connection, by a request, at their own
 * port or at another; or not at all, where nothing answers to an empty question. Then an instance counts as up from the
 * start, and only how it fares speaks for or against it.
 */
import type { Clock } from "@tideway/base";
import { HealthState } from "@tideway/engine/balancing";
import { defaultHealth, defaultProbe, type ProbeDone, type ProbeMaker, type ProbeTarget } from "../upstream/index.ts";
import { Layer4Member } from "./member.ts";
import type { Layer4Settings } from "./service.ts";

export class Probing {
  readonly #clock: Clock;
  readonly #byDefault: boolean;
  #settings: Layer4Settings;
  /** Who waits for answers to questions that are not asked. */
  readonly #waiting = new Set<ProbeDone>();
  /** Instances that were taken to be up because they are not asked. */
  #trusted = new WeakSet<ProbeTarget>();

  /** `byDefault`: instances are asked although nobody says how. */
  constructor(clock: Clock, byDefault: boolean, settings: Layer4Settings) {
    this.#clock = clock;
    this.#byDefault = byDefault;
    this.#settings = settings;
  }

  configure(settings: Layer4Settings): void {
    this.#settings = settings;
    if (!this.#asks) return;
    this.#trusted = new WeakSet();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
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
    const isNew = target instanceof Layer4Member && target.health.state === HealthState.checking;
    if (isNew || !this.#trusted.has(target)) {
      this.#trusted.add(target);
      const timer = this.#clock.after(0, () => done(true, ""));
      return { cancel: () => timer.cancel() };
    }
    this.#waiting.add(done);
    return { cancel: () => void this.#waiting.delete(done) };
  }
}
