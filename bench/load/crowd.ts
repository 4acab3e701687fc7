/** The clients of one room and a sender beside them: says so many texts, and waits until every client has every one. */
import { Client, type Protocol } from "./client.ts";

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

  static async open({ port, protocol, clients, keeps }: CrowdOptions): Promise<Crowd> {
    const crowd = new Crowd();
    const onMessage = (): void => {
      if (++crowd.#received === crowd.#expected) crowd.#arrived.resolve();
    };
    const onClose = (why: string): void => crowd.#arrived.reject(new Error(`a client was lost: ${why}`));
    // Without a listener a rejection between two batches would end the process before the next batch can report it.
    crowd.#arrived.promise.catch(() => {});
    const options = { port, protocol, keeps, onMessage, onClose };
    while (crowd.clients.length < clients) {
      const count = Math.min(connectBatch, clients - crowd.clients.length);
      const opened = Array.from({ length: count }, () => Client.open({ ...options, role: "listener" }));
      crowd.clients.push(...(await Promise.all(opened)));
    }
    crowd.#sender = await Client.open({ ...options, onMessage: () => {}, role: "sender" });
    return crowd;
  }

  /** Deliveries so far. */
  get deliveries(): number {
    return this.#received;
  }

  /** Resolves when all clients together have received as many messages as were said to them. */
  async say(texts: readonly string[]): Promise<void> {
    this.#arrived = Promise.withResolvers();
    this.#expected += texts.length * this.clients.length;
    this.#sender!.say(texts);
    await this.#arrived.promise;
  }

  close(): void {
    for (const client of [...this.clients, this.#sender]) client?.close();
  }
}

/** A text of `bytes` that says its number. */
export function numbered(number: number, bytes: number): string {
  return `${number} `.padEnd(bytes, "abcdefghijklmnopqrstuvwxyz");
}
