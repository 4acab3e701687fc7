/**
 * `npm run bench -- handover`: 5,000 Socket.IO clients of a whole Tideway, whose application is killed and deployed under them: how
 * long until a process holds each of them again, how many lines dropped, how many events were lost or came twice. Counted by the
 * clients, never asked of the server.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { HereResult, SurvivorsResult, SurvivorsTask } from "./load/survivors.ts";
import { startTideway, temporaryFolder, tidewayBin, type Whole } from "./measure/contenders.ts";
import { processTree } from "./measure/cpu.ts";
import { commandOf } from "./measure/memory.ts";
import { type Core, Script } from "./measure/processes.ts";
import { aligned } from "./measure/table.ts";

export interface HandoverOptions {
  readonly raw: number;
  /** Clients of npm's `socket.io-client` among them. */
  readonly stock: number;
  readonly cores: { readonly server: Core; readonly load: Core };
}

export interface Handover {
  readonly what: string;
  /** From the blow until the first and the last client were told by the process that holds them now. */
  readonly firstMs: number;
  readonly lastMs: number;
}

export interface HandoverResult extends SurvivorsResult {
  readonly handovers: readonly Handover[];
}

const application = fileURLToPath(new URL("./servers/ledgered.ts", import.meta.url));

/** A whole Tideway with one instance of the application that counts. */
export function ledgeredConfiguration(port: number): string {
  return `export default {
  listen: [{ port: ${port} }], console: false, log: { level: "warn", requests: false },
  services: {
    web: { command: ${JSON.stringify(`${process.execPath} ${application}`)}, instances: 1, health: { path: "/" } },
    live: { realtime: { service: "web" } },
  },
  sites: { "*": { "/": "web", "/socket.io": "live" } },
};\n`;
}

export async function startSurvivors(core: Core): Promise<Script> {
  return (await Script.start(core, new URL("./load/survivors.ts", import.meta.url))).script;
}

export async function openSurvivors(load: Script, port: number, raw: number, stock: number): Promise<void> {
  const opened = await load.ask<HereResult>({ type: "open", port, raw, stock } satisfies SurvivorsTask);
  if (opened.lastAt === null) throw new Error(`${opened.missing} clients did not connect`);
}

/** Until each client was told again that a process holds it: milliseconds from `since` to the first and to the last of them. */
export async function untilHere(load: Script, since: number): Promise<{ firstMs: number; lastMs: number }> {
  const { firstAt, lastAt, missing } = await load.ask<HereResult>({ type: "here", since } satisfies SurvivorsTask);
  if (lastAt === null) throw new Error(`${missing} clients were not taken over`);
  return { firstMs: firstAt - since, lastMs: lastAt - since };
}

function killApplications(tideway: Whole): void {
  for (const pid of processTree(tideway.program.pid)) {
    if (commandOf(pid).includes(application)) process.kill(pid, "SIGKILL");
  }
}

async function deploy(configuration: string): Promise<void> {
  const child = spawn(process.execPath, [tidewayBin, "deploy", "web", configuration], { stdio: "ignore" });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`tideway deploy ended with ${code}`);
}

export async function handOver({ raw, stock, cores }: HandoverOptions): Promise<HandoverResult> {
  await using endings = new AsyncDisposableStack();
  const tideway = await startTideway(temporaryFolder(), ledgeredConfiguration(0), { core: cores.server });
  endings.defer(() => tideway.program.stop());
  const load = await startSurvivors(cores.load);
  endings.defer(() => load.stop());
  await openSurvivors(load, tideway.port, raw, stock);
  const handovers: Handover[] = [];
  for (const what of ["its only instance killed with -9", "the same again", "deployed"]) {
    const since = Date.now();
    const waiting = untilHere(load, since);
    if (what === "deployed") await deploy(tideway.configuration);
    else killApplications(tideway);
    handovers.push({ what, ...(await waiting) });
  }
  return { handovers, ...(await load.ask<SurvivorsResult>({ type: "finish" } satisfies SurvivorsTask)) };
}

export async function handover(): Promise<string> {
  const options = { raw: 4950, stock: 50, cores: { server: "server", load: "load" } } as const;
  const result = await handOver(options);
  const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
  const rows = result.handovers.map(({ what, firstMs, lastMs }) => [what, seconds(firstMs), seconds(lastMs)]);
  return [
    `${options.raw + options.stock} clients, ${options.stock} of them stock; the application`,
    aligned([["", "the first is held again after", "the last"], ...rows]),
    `lines dropped: ${result.dropped}; of ${result.said} events to each client: ${result.lost} lost, ${result.repeated} repeated`,
  ].join("\n");
}
