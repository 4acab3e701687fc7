/**
 * The control socket: how `tideway status`, `explain` and `deploy` reach the running server. HTTP over a Unix socket in the
 * data directory, readable by its owner only, so whoever owns the data may ask, and deploy. Owns the line, not the answers.
 */

import { createHash } from "node:crypto";
import { chmodSync, rmSync } from "node:fs";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OperatorError, type OperatorErrorCode, type OperatorErrorDetails } from "@tideway/base";
import type { StatusReport } from "./report.ts";

const answerTimeoutMs = 5_000;

/** What the running server answers. */
export interface ControlAnswers {
  status(): StatusReport;
  /** The instance that a request to this service would go to now; null when none could take it. */
  pick(service: string): string | null;
  /** Replaces the service's instances one by one. Rejects with an OperatorError; those not yet replaced go on. */
  deploy(service: string): Promise<void>;
}

/** What goes over the line when something cannot be done. */
interface Refusal {
  readonly error: { readonly code: OperatorErrorCode; readonly details: OperatorErrorDetails };
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
    const say = (status: number, body: unknown) => {
      outgoing.writeHead(status, { "content-type": "application/json" });
      outgoing.end(JSON.stringify(body));
    };
    const url = new URL(incoming.url ?? "/", "http://control");
    const service = url.searchParams.get("service") ?? "";
    const asked = `${incoming.method} ${url.pathname}`;
    if (asked === "GET /status") say(200, answers.status());
    else if (asked === "GET /pick") say(200, { instance: answers.pick(service) });
    else if (asked === "POST /deploy") {
      answers.deploy(service).then(
        () => say(200, {}),
        (error: unknown) => say(409, refusalOf(error)),
      );
    } else say(404, null);
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

function refusalOf(error: unknown): Refusal {
  const known = error instanceof OperatorError;
  const details = known ? error.details : { where: "tideway", seen: String(error), hint: "See its log." };
  return { error: { code: known ? error.code : "CONTROL_REFUSED", details: { ...details, cause: undefined } } };
}

/**
 * Asks the server that runs on `dataDirectory`, and waits 5 s unless told otherwise. Throws CONTROL_UNREACHABLE when there
 * is none, and its own error when it refuses.
 */
export async function askControl<T>(
  dataDirectory: string,
  path: string,
  { method = "GET", timeoutMs = answerTimeoutMs } = {},
): Promise<T> {
  const answer = await exchange(dataDirectory, path, method, timeoutMs);
  const { error } = (answer ?? {}) as Partial<Refusal>;
  if (error !== undefined) throw new OperatorError(error.code, error.details);
  return answer as T;
}

async function exchange(dataDirectory: string, path: string, method: string, timeoutMs: number): Promise<unknown> {
  try {
    return await new Promise((done, failed) => {
      const socket = socketPath(dataDirectory, "control");
      const asked = request({ socketPath: socket, path, method, timeout: timeoutMs }, (answer) => {
        const pieces: Buffer[] = [];
        answer.on("data", (piece: Buffer) => pieces.push(piece));
        answer.on("error", failed);
        answer.on("end", () => {
          try {
            done(JSON.parse(Buffer.concat(pieces).toString()));
          } catch (error) {
            failed(error);
          }
        });
      });
      asked.on("timeout", () => asked.destroy(new Error(`no answer within ${timeoutMs} ms`)));
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
