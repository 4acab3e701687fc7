/**
 * Who takes part in a benchmark of the gateway: a whole Tideway, its path for requests alone, nginx, HAProxy; each started
 * with a configuration of the benchmark's. Owns how they are started and found, never what they are told to do.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findProgram } from "@tideway/scripts/requires";
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

export const tidewayBin = fileURLToPath(new URL("../../packages/tideway/bin/tideway.ts", import.meta.url));

/** A folder of the benchmark's own, gone with its process at the latest. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tideway-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

/** The server behind the gateways: `servers/origin.ts`. */
export async function startOrigin(core: Core = "load"): Promise<{ script: Script; port: number }> {
  const { script, ready } = await Script.start<{ port: number }>(
    core,
    new URL("../servers/origin.ts", import.meta.url),
  );
  return { script, port: ready.port };
}

/** `tideway start` with `text` as its configuration, which lies in `folder` with all that it writes. */
export async function startTideway(
  folder: string,
  text: string,
  { name = "tideway", core = "server" }: { name?: string; core?: Core } = {},
): Promise<Whole> {
  const configuration = join(folder, "tideway.config.ts");
  writeFileSync(configuration, text);
  const program = new Program(core, [process.execPath, tidewayBin, "start", "--json", configuration]);
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
