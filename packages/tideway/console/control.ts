/**
 * The control socket: how `tideway status` and `tideway explain` reach the running server. HTTP over a Unix socket in the
 * data directory, readable by its owner only, so whoever can read the data may ask. Owns the line, not the answers.
 */

import { createHash } from "node:crypto";
import { chmodSync, rmSync } from "node:fs";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OperatorError } from "@tideway/base";
import type { StatusReport } from "./report.ts";

const answerTimeoutMs = 5_000;

/** What the running server answers. */
export interface ControlAnswers {
  status(): StatusReport;
  /** The instance that a request to this service would go to now; null when none could take it. */
  pick(service: string): string | null;
}

/**
 * Where the control socket of a data directory lies: inside it, or, since a Unix socket's path is limited to about 100
 * bytes, in the temporary folder under a name made from the directory's.
 */
export function socketPath(dataDirectory: string, name: string): string {
  const inside = join(dataDirectory, `${name}.sock`);
  if (Buffer.byteLength(inside) <= 100) return inside;
  const digest = createHash("sha256").update(inside).digest("hex").slice(0, 16);
  return join(tmpdir(), `tideway-${digest}-${name}.sock`);
}

export interface ControlServer {
  close(): Promise<void>;
}

export async function serveControl(dataDirectory: string, answers: ControlAnswers): Promise<ControlServer> {
  const path = socketPath(dataDirectory, "control");
  rmSync(path, { force: true });
  const server = createServer((incoming, outgoing) => {
    const url = new URL(incoming.url ?? "/", "http://control");
    const answer =
      url.pathname === "/status"
        ? answers.status()
        : url.pathname === "/pick"
          ? { instance: answers.pick(url.searchParams.get("service") ?? "") }
          : null;
    outgoing.writeHead(answer === null ? 404 : 200, { "content-type": "application/json" });
    outgoing.end(JSON.stringify(answer));
  });
  await new Promise<void>((done, failed) => {
    server.once("error", failed);
    server.listen(path, done);
  });
  chmodSync(path, 0o600);
  return {
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

/** Asks the server that runs on `dataDirectory`. Throws CONTROL_UNREACHABLE when there is none. */
export async function askControl<T>(dataDirectory: string, path: string): Promise<T> {
  try {
    return await new Promise<T>((done, failed) => {
      const asked = request(
        { socketPath: socketPath(dataDirectory, "control"), path, timeout: answerTimeoutMs },
        (answer) => {
          const pieces: Buffer[] = [];
          answer.on("data", (piece: Buffer) => pieces.push(piece));
          answer.on("error", failed);
          answer.on("end", () => {
            try {
              done(JSON.parse(Buffer.concat(pieces).toString()) as T);
            } catch (error) {
              failed(error);
            }
          });
        },
      );
      asked.on("timeout", () => asked.destroy(new Error(`no answer within ${answerTimeoutMs} ms`)));
      asked.on("error", failed);
      asked.end();
    });
  } catch (cause) {
    throw new OperatorError("CONTROL_UNREACHABLE", {
      where: dataDirectory,
      seen: cause instanceof Error ? cause.message : String(cause),
      hint: "Start it (tideway start), or name the configuration of the one that runs (tideway status path/to/tideway.config.ts).",
      cause,
    });
  }
}
