/**
 * The heartbeat of one session: the server asks, the client answers, silence ends it at exactly interval + timeout. One
 * timer at a time; no wheel, for clients and tests count on the exact moment.
 */
import type { Clock, Timer } from "@tideway/base";
import type { Settings } from "./options.ts";

const Heart = {
  /** The next ping is due when the timer runs out. */
  resting: 0,
  /** A ping is out: without a sign of life the session is dead when the timer runs out. */
  waiting: 1,
  /** The same, and something else than a pong has come since, which bought time once. */
  extended: 2,
} as const;
type Heart = (typeof Heart)[keyof typeof Heart];

/** Who has the heartbeat. */
export interface HeartbeatOwner {
  /** A ping is due. */
  onBeat(): void;
  /** The ping was not answered in time. */
  onSilence(): void;
}

export class Heartbeat {
  readonly #clock: Clock;
  readonly #settings: Settings;
  readonly #owner: HeartbeatOwner;
  #heart: Heart = Heart.resting;
  #timer: Timer | null = null;

  constructor(clock: Clock, settings: Settings, owner: HeartbeatOwner) {
    this.#clock = clock;
    this.#settings = settings;
    this.#owner = owner;
    this.answered();
  }

  /** A pong came: the next ping is due one interval from now. */
  answered(): void {
    this.#heart = Heart.resting;
    this.#timer?.cancel();
    this.#timer = this.#clock.after(this.#settings.pingIntervalMs, () => {
      this.#wait(Heart.waiting);
      this.#owner.onBeat();
    });
  }

  /** Any packet came. While a ping is out it buys the pong its timeout once more: it may stand behind a long upload. */
  alive(): void {
    if (this.#heart === Heart.waiting) this.#wait(Heart.extended);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #wait(heart: Heart): void {
    this.#heart = heart;
    this.#timer?.cancel();
    this.#timer = this.#clock.after(this.#settings.pingTimeoutMs, () => this.#owner.onSilence());
  }
}
