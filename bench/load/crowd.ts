/**
 * The clients of one room and a sender beside them. Either the sender says texts and all wait until every client has every
 * one, or each client asks for itself, and again when it is answered.
 */
import { Client, type Protocol, questions } from "./client.ts";

export interface CrowdOptions {
  readonly port: number;
  readonly protocol: Protocol;
  readonly clients: number;
  /** Whether clients keep the texts that arrive. */
  readonly keeps: boolean;
}

/** Clients that connect at the same time: below any server's backlog. */
const connectBatch = 50;

export class Crowd {
  readonly clients: Client[] = [];
  #sender: Client | null = null;
  #expected = 0;
  #received = 0;
  #arrived = Promise.withResolvers<void>();
  /** While clients ask: what each asks at once. */
  #asking: { readonly frames: Buffer; readonly count: number } | null = null;

  #onReceived: ((received: number) => void) | null = null;

  private constructor() {
    // Without a listener a rejection between two batches would end the process before the next batch can report it.
    this.#arrived.promise.catch(() => {});
  }

  static async open({ port, protocol, clients, keeps }: CrowdOptions): Promise<Crowd> {
    const crowd = new Crowd();
    const onMessages = (count: number, client: Client): void => crowd.#onMessages(count, client);
    const onClose = (why: string): void => crowd.#arrived.reject(new Error(`a client was lost: ${why}`));
    const options = { port, protocol, keeps, onMessages, onClose };
    while (crowd.clients.length < clients) {
      const count = Math.min(connectBatch, clients - crowd.clients.length);
      const opened = Array.from({ length: count }, () => Client.open({ ...options, role: "listener" }));
      crowd.clients.push(...(await Promise.all(opened)));
    }
    crowd.#sender = await Client.open({ ...options, onMessages: () => {}, role: "sender" });
    return crowd;
  }

  /** Deliveries so far, or answers. */
  get deliveries(): number {
    return this.#received;
  }

  /** Resolves when all clients together have received as many messages as were said to them. */
  async say(texts: readonly string[]): Promise<void> {
    this.#expect(texts.length * this.clients.length);
    this.#sender!.say(texts);
    await this.#arrived.promise;
  }

  /** Resolves when so many more have been received, whoever said them. */
  async hear(count: number): Promise<void> {
    this.#expect(count);
    await this.#arrived.promise;
  }

  /**
   * The sender says texts at a given rate, open loop: in each tick of about a millisecond those that are due. Resolves to how
   * long each took from its tick until all clients had as many more; texts come in order, so the n-th to arrive is the n-th.
   */
  async pace(perSecond: number, ms: number, text: () => string): Promise<number[]> {
    const saidAt: number[] = [];
    const latencies: number[] = [];
    const before = this.#received;
    this.#arrived = Promise.withResolvers();
    this.#expected = Number.POSITIVE_INFINITY;
    this.#onReceived = (received) => {
      const now = performance.now();
      const whole = Math.floor((received - before) / this.clients.length);
      while (latencies.length < whole) latencies.push(now - saidAt[latencies.length]!);
    };
    const start = performance.now();
    for (let now = start; now < start + ms; ) {
      await Promise.race([this.#arrived.promise, new Promise((done) => setTimeout(done, 1))]);
      now = Math.min(performance.now(), start + ms);
      const texts: string[] = [];
      for (let due = Math.floor(((now - start) * perSecond) / 1000); saidAt.length < due; saidAt.push(now))
        texts.push(text());
      if (texts.length > 0) this.#sender!.say(texts);
    }
    this.#expected = before + saidAt.length * this.clients.length;
    if (this.#received === this.#expected) this.#arrived.resolve();
    await this.#arrived.promise;
    this.#onReceived = null;
    return latencies;
  }

  /** For `ms` each client (of Socket.IO's protocol) asks all of `texts` in one write, and again when all are answered. Resolves after the last answer. */
  async ask(texts: readonly string[], ms: number): Promise<void> {
    const count = texts.length;
    const asked = this.#received;
    this.#asking = { frames: questions(texts), count };
    this.#arrived = Promise.withResolvers();
    this.#expected = Number.POSITIVE_INFINITY;
    for (const client of this.clients) {
      client.answers = 0;
      client.send(this.#asking.frames);
    }
    await Promise.race([this.#arrived.promise, new Promise((done) => setTimeout(done, ms))]);
    this.#asking = null;
    // Each has one round of questions out.
    const rounds = this.clients.reduce((sum, { answers }) => sum + Math.floor(answers / count) + 1, 0);
    this.#expected = asked + rounds * count;
    if (this.#received === this.#expected) this.#arrived.resolve();
    await this.#arrived.promise;
  }

  close(): void {
    for (const client of [...this.clients, this.#sender]) client?.close();
  }

  #expect(count: number): void {
    this.#arrived = Promise.withResolvers();
    this.#expected += count;
  }

  #onMessages(count: number, client: Client): void {
    this.#received += count;
    const asking = this.#asking;
    client.answers += count;
    if (asking !== null && client.answers % asking.count === 0) client.send(asking.frames);
    this.#onReceived?.(this.#received);
    if (this.#received === this.#expected) this.#arrived.resolve();
  }
}

/** A text of `bytes` that says its number. */
export function numbered(number: number, bytes: number): string {
  return `${number} `.padEnd(bytes, "abcdefghijklmnopqrstuvwxyz");
}
