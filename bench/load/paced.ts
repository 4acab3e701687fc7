/**
 * GETs at a given rate over kept connections, open loop: in each tick of about a millisecond those leave that are due, as
 * many as a Poisson process has by then. One that finds no connection free waits, and that counts: its latency begins with
 * the tick in which it was due. That a tick comes late is the generator's own fault, and does not count.
 */
import { SeededRandom } from "@tideway/base/testing";
import { type GetConnection, type GetHandler, openConnections } from "./get-connection.ts";

export interface PacedTask {
  readonly type: "paced";
  readonly port: number;
  readonly connections: number;
  readonly perSecond: number;
  readonly seed: number;
  /** What is due in this time is sent, and not counted. */
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface PacedResult {
  /** All were answered with 200, or there is no result. */
  readonly answered: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

const tickMs = 1;

class Pacer implements GetHandler {
  readonly #free: GetConnection[] = [];
  /** When those that wait for a connection were due; those before `#first` have one. */
  readonly #waiting: number[] = [];
  #first = 0;
  #underWay = 0;
  #allSent = false;
  readonly #latencies: number[] = [];
  /** What was due before is not counted. */
  #countedFrom = 0;
  readonly #settled = Promise.withResolvers<void>();

  constructor() {
    this.#settled.promise.catch(() => {});
  }

  async run(task: PacedTask): Promise<number[]> {
    const connections = await openConnections(task.port, task.connections, () => "/", this);
    this.#free.push(...connections);
    try {
      await this.#send(task);
      await this.#settled.promise;
    } finally {
      for (const connection of connections) connection.close();
    }
    return this.#latencies;
  }

  async #send(task: PacedTask): Promise<void> {
    const random = new SeededRandom(task.seed);
    const gap = (): number => (-1000 / task.perSecond) * Math.log(1 - random.fraction());
    const start = performance.now();
    this.#countedFrom = start + task.warmUpMs;
    const end = task.warmUpMs + task.measureMs;
    let at = gap();
    while (at < end) {
      await new Promise((done) => setTimeout(done, tickMs));
      const now = performance.now();
      for (; at < end && start + at <= now; at += gap()) this.#due(now);
    }
    this.#allSent = true;
    if (this.#underWay === 0) this.#settled.resolve();
  }

  #due(now: number): void {
    this.#underWay++;
    const connection = this.#free.pop();
    if (connection === undefined) this.#waiting.push(now);
    else this.#ask(connection, now);
  }

  #ask(connection: GetConnection, since: number): void {
    connection.since = since;
    connection.ask();
  }

  onAnswer(connection: GetConnection, status: number): void {
    if (status !== 200) this.onLost(connection, `answered ${status}`);
    if (connection.since >= this.#countedFrom) this.#latencies.push(performance.now() - connection.since);
    this.#underWay--;
    if (this.#first < this.#waiting.length) this.#ask(connection, this.#waiting[this.#first++]!);
    else this.#free.push(connection);
    if (this.#allSent && this.#underWay === 0) this.#settled.resolve();
  }

  onLost(_: GetConnection, why: string): void {
    this.#settled.reject(new Error(why));
  }
}

export async function paced(task: PacedTask): Promise<PacedResult> {
  const latencies = (await new Pacer().run(task)).sort((a, b) => a - b);
  const quantile = (q: number): number => latencies[Math.floor(q * latencies.length)] ?? Number.NaN;
  return { answered: latencies.length, p50Ms: quantile(0.5), p99Ms: quantile(0.99), p999Ms: quantile(0.999) };
}
