/**
 * The control socket: how `tideway status`, `explain`, `reload`, `deploy` and `instance` reach the running server. HTTP over a
 * Unix socket in the data directory, readable by its owner only, so whoever owns the data may ask, and change. Owns the
 * line, not the answers.
 */

import { createHash } from "node:crypto";
import { chmodSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OperatorError, type OperatorErrorCode, type OperatorErrorDetails } from "@tideway/base";
import type { Balance } from "@tideway/engine/balancing";
import { ConfigurationFault } from "../config/index.ts";
import { createServer, request } from "./http.ts";
import type { InstanceReport, ReloadReport, StatusReport } from "./report.ts";

const answerTimeoutMs = 5_000;

/** What the running server answers. */
export interface ControlAnswers {
  status(): StatusReport;
  /** Where this request to this service would go now, and among which. */
  pick(service: string, asked: Asked): Pick;
  /** Replaces the service's instances one by one. Rejects with an OperatorError; those not yet replaced go on. */
  deploy(service: string): Promise<void>;
  /** Reads the configuration again and applies the difference. Rejects with what is wrong with it; then nothing changed. */
  reload(): Promise<ReloadReport>;
  /** Changes the share of one instance, or drains it and takes it back, until the next start, or a reload that says something else of it. */
  adjust(service: string, instance: string, how: Adjustment): void;
}

/** A request, as far as the choice of an instance looks at it. */
export interface Asked {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** With its leading `?`. */
  readonly query: string;
  /** As in a request's head: name, value, name, value … */
  readonly fields: readonly string[];
  /** The client's. */
  readonly address: string;
}

const plainRequest: Asked = { method: "GET", host: "", path: "/", query: "", fields: [], address: "127.0.0.1" };

export interface Pick {
  /** Null when none could take a request, and for a service without instances. */
  readonly instance: string | null;
  /** The policy, as configured. */
  readonly balance: Balance | null;
  readonly candidates: readonly InstanceReport[];
}

/** What `tideway instance` can ask of one. */
export type Adjustment = { readonly weight: number } | "drain" | "undrain";

/** What goes over the line when something cannot be done: one error, or all faults of a configuration. */
interface Refusal {
  readonly errors: readonly { readonly code: OperatorErrorCode; readonly details: OperatorErrorDetails }[];
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
    const settle = (doing: Promise<unknown>) => {
      doing.then(
        (value) => say(200, value ?? {}),
        (error: unknown) => say(409, refusalOf(error)),
      );
    };
    const url = new URL(incoming.url ?? "/", "http://control");
    const service = url.searchParams.get("service") ?? "";
    const asked = `${incoming.method} ${url.pathname}`;
    if (asked === "GET /status") say(200, answers.status());
    else if (asked === "GET /pick") {
      const request = JSON.parse(url.searchParams.get("asked") ?? "{}") as Partial<Asked>;
      say(200, answers.pick(service, { ...plainRequest, ...request }));
    } else if (asked === "POST /deploy") settle(answers.deploy(service));
    else if (asked === "POST /reload") settle(answers.reload());
    else if (asked === "POST /instance") {
      const { searchParams } = url;
      const weight = searchParams.get("weight");
      const how = weight === null ? (searchParams.get("how") as "drain" | "undrain") : { weight: Number(weight) };
      settle(Promise.try(() => answers.adjust(service, searchParams.get("instance") ?? "", how)));
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
  if (error instanceof ConfigurationFault) return { errors: error.faults.map(plain) };
  if (error instanceof OperatorError) return { errors: [plain(error)] };
  return {
    errors: [{ code: "CONTROL_REFUSED", details: { where: "tideway", seen: String(error), hint: "See its log." } }],
  };
}

function plain({ code, details }: OperatorError): Refusal["errors"][number] {
  return { code, details: { ...details, cause: undefined } };
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
  const { errors } = (answer ?? {}) as Partial<Refusal>;
  if (errors === undefined) return answer as T;
  const faults = errors.map(({ code, details }) => new OperatorError(code, details));
  throw faults.length === 1 ? faults[0]! : new ConfigurationFault(faults);
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
