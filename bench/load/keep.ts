/** Connections that have each had one answer, and are then kept without a request, as browsers keep them. */
import { type GetConnection, type GetHandler, openConnections } from "./get-connection.ts";

export interface KeepTask {
  readonly type: "keep";
  readonly port: number;
  readonly connections: number;
}

/** Those that are kept ask once more. */
export interface AskAgainTask {
  readonly type: "ask again";
}

export interface KeepResult {
  /** Connections that were answered with 200. */
  readonly answered: number;
}

const batch = 100;

export class Kept implements GetHandler {
  readonly #open = new Set<GetConnection>();
  /** Those of them that were asked and have not answered. */
  readonly #asked = new Set<GetConnection>();
  #answered = 0;
  #all = Promise.withResolvers<void>();

  async open(port: number, count: number): Promise<KeepResult> {
    this.#answered = 0;
    // Each asks at once: a server need not wait for long on one that says nothing.
    for (let opened = 0; opened < count; opened += batch) {
      const few = Math.min(batch, count - opened);
      await this.#askAll(await openConnections(port, few, (index) => `/${opened + index}`, this));
    }
    return { answered: this.#answered };
  }

  async ask(): Promise<KeepResult> {
    this.#answered = 0;
    // Not all at once: that would be another benchmark.
    const all = [...this.#open];
    for (let at = 0; at < all.length; at += batch) await this.#askAll(all.slice(at, at + batch));
    return { answered: this.#answered };
  }

  async #askAll(connections: readonly GetConnection[]): Promise<void> {
    this.#all = Promise.withResolvers();
    for (const connection of connections) {
      if (!connection.isOpen) continue;
      this.#open.add(connection);
      this.#asked.add(connection);
      connection.ask();
    }
    if (this.#asked.size > 0) await this.#all.promise;
  }

  close(): void {
    for (const connection of this.#open) connection.close();
  }

  onAnswer(connection: GetConnection, status: number): void {
    if (status === 200) this.#answered++;
    this.#isOver(connection);
  }

  onLost(connection: GetConnection): void {
    this.#open.delete(connection);
    this.#isOver(connection);
  }

  #isOver(connection: GetConnection): void {
    if (this.#asked.delete(connection) && this.#asked.size === 0) this.#all.resolve();
  }
}
