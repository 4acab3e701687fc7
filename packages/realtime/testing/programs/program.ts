/** What a program for the tests is. */
import type { Socket as Client, ManagerOptions, SocketOptions } from "socket.io-client";

export interface Program {
  /** Listens on `PORT`, or on a free port and prints it. */
  readonly source: string;
  /** ES module unless given. */
  readonly kind?: "commonjs" | "module-typescript";
  /** Why it is not for several instances: it would not be with `socket.io` and an adapter, either. */
  readonly alone?: string;
  /** Wants events to be kept for clients that come back, and so gets their offsets, too. */
  readonly recovers?: true;
  /** Uses it, and says what came of it. */
  use(visit: (namespace?: string, options?: Partial<ManagerOptions & SocketOptions>) => Client): Promise<unknown>;
  readonly sees: unknown;
}

/** For those who ask the same server by plain HTTP. */
export const addressOf = (client: Client) => (client.io as unknown as { uri: string }).uri;

/** The program with its server from `from` instead of `socket.io`: no other word is changed. */
export function sourceWith(program: Program, from: string): string {
  return program.source.replaceAll('"socket.io"', JSON.stringify(from));
}
