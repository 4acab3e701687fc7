/**
 * Who takes part in a benchmark of the gateway: a whole Tideway, its path for requests alone, nginx, HAProxy; each started
 * with a configuration of the benchmark's. Owns how they are started and found, never what they are told to do.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "@tideway/scripts/free-port";
import { findProgram } from "@tideway/scripts/requires";
import { haproxyConfiguration } from "../peers/haproxy.ts";
import { nginxConfiguration } from "../peers/nginx.ts";
import { plainGateway } from "../servers/gateways.ts";
import { type Core, Program, Script } from "./processes.ts";

export interface Contender {
  readonly name: string;
  readonly port: number;
  readonly program: Program;
}

export interface Whole extends Contender {
  readonly configuration: string;
  /** The URL of its console, empty when it has none. */
  readonly console: string;
}

export const tidewayBin = fileURLToPath(new URL("../../packages/tideway/bin/tideway.mjs", import.meta.url));

/** A folder of the benchmark's own, gone with its process at the latest. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tideway-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

const origins = {
  origin: new URL("../servers/origin.ts", import.meta.url),
  bodies: new URL("../servers/bodies.ts", import.meta.url),
};

/** The server behind the gateways: of small answers, or of large bodies. */
export async function startOrigin(
  core: Core = "load",
  kind: keyof typeof origins = "origin",
): Promise<{ script: Script; port: number }> {
  const { script, ready } = await Script.start<{ port: number }>(core, origins[kind]);
  return { script, port: ready.port };
}

/**
 * `tideway start` with `text` as its configuration, which lies in `folder` with all that it writes. `ask` of its program has
 * its resident memory.
 */
export async function startTideway(
  folder: string,
  text: string,
  { name = "tideway", core = "server" }: { name?: string; core?: Core } = {},
): Promise<Whole> {
  const configuration = join(folder, "tideway.config.ts");
  writeFileSync(configuration, text);
  const options = ["--expose-gc", "--import", new URL("../servers/collect.ts", import.meta.url).href];
  const program = new Program(core, [process.execPath, ...options, tidewayBin, "start", "--json", configuration], true);
  const ready = JSON.parse(await program.firstLine()) as {
    readonly listeners: readonly { readonly port: number }[];
    readonly console: { readonly address: string } | null;
  };
  return { name, port: ready.listeners[0]!.port, program, configuration, console: ready.console?.address ?? "" };
}

/** Listener, routing and proxy alone, in one process: what the path costs without the system around it. */
export async function startPath(origin: number, core: Core = "server"): Promise<Contender> {
  const url = new URL("../servers/proxy-tideway.ts", import.meta.url);
  const { script, ready } = await Script.start<{ port: number }>(core, url, [String(origin)]);
  return { name: "its path alone", port: ready.port, program: script };
}

/** nginx or HAProxy with what `configure` says for its folder and port. */
export async function startPeer(
  program: "nginx" | "haproxy",
  folder: string,
  configure: (port: number) => string,
  { name = program, core = "server" }: { name?: string; core?: Core } = {},
): Promise<Contender> {
  const port = await freePort();
  const file = join(folder, `${program}-${port}.conf`);
  writeFileSync(file, configure(port));
  const args = program === "nginx" ? ["-p", folder, "-e", "stderr", "-c", file] : ["-db", "-f", file];
  const started = new Program(core, [findProgram(program)!, ...args]);
  await started.accepting(port);
  return { name, port, program: started };
}

export const contenderNames = ["tideway", "nginx", "haproxy"] as const;
export type ContenderName = (typeof contenderNames)[number];

export interface Gateways extends AsyncDisposable {
  readonly contenders: readonly Contender[];
  /** A line for each that is not installed. */
  readonly leftOut: readonly string[];
  /** The origin's port. */
  readonly origin: number;
  /** What ends with them. */
  readonly endings: AsyncDisposableStack;
}

export interface GatewayOptions {
  readonly core?: Core;
  readonly only?: readonly ContenderName[];
  readonly origin?: keyof typeof origins;
  /** Of clients, at once; what each has by default unless given. */
  readonly connections?: number;
}

/** All of them before one origin, with nothing on but the way: a whole Tideway, nginx, HAProxy. */
export async function startGateways({
  core = "server",
  only = contenderNames,
  origin: kind = "origin",
  connections,
}: GatewayOptions = {}): Promise<Gateways> {
  await using started = new AsyncDisposableStack();
  const origin = await startOrigin(core === "any" ? "any" : "load", kind);
  started.defer(() => origin.script.stop());
  const contenders: Contender[] = [];
  const leftOut: string[] = [];
  for (const name of only) {
    if (name !== "tideway" && findProgram(name) === null) {
      leftOut.push(`${name} is left out: it is not installed`);
      continue;
    }
    const contender = await startGateway(name, origin.port, core, connections);
    started.defer(() => contender.program.stop());
    contenders.push(contender);
  }
  const endings = started.move();
  return { contenders, leftOut, origin: origin.port, endings, [Symbol.asyncDispose]: () => endings.disposeAsync() };
}

function startGateway(name: ContenderName, origin: number, core: Core, connections?: number): Promise<Contender> {
  const folder = temporaryFolder();
  if (name === "tideway") return startTideway(folder, plainGateway(origin, connections), { core });
  const configure = (port: number): string =>
    name === "nginx"
      ? nginxConfiguration(folder, port, origin, connections)
      : haproxyConfiguration(port, origin, connections);
  return startPeer(name, folder, configure, { core });
}
