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

export class Kept implements GetHandler {
  readonly #open = new Set<GetConnection>();
  /** Those of them that were asked and have not answered. */
  readonly #asked = new Set<GetConnection>();
  #answered = 0;
  #all = Promise.withResolvers<void>();

  async open(port: number, count: number): Promise<KeepResult> {
    const connections = await openConnections(port, count, (index) => `/${index}`, this);
    for (const connection of connections) if (connection.isOpen) this.#open.add(connection);
    return this.ask();
  }

  async ask(): Promise<KeepResult> {
    this.#answered = 0;
    this.#all = Promise.withResolvers();
    for (const connection of this.#open) {
      this.#asked.add(connection);
      connection.ask();
    }
    if (this.#asked.size > 0) await this.#all.promise;
    return { answered: this.#answered };
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
