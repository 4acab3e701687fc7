import { EventEmitter, on, once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach } from "node:test";
import type { Logger } from "@tideway/base";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import {
  type AppHost,
  type AppHostOptions,
  createAppHost,
  type InstanceAddress,
  InstanceState,
  type ServiceSpec,
} from "./index.ts";

export const folder = mkdtempSync(join(tmpdir(), "tideway-apphost-"));
export let data = "";
let runs = 0;

/** What a child says of itself when it is up; its socket stays open for as long as the process lives. */
export interface Report {
  kind: string;
  pid: number;
  instance: string;
  port: string;
  link: string;
  nodeEnv: string;
  extra: string;
  cwd: string;
  execPath: string;
  argv: string[];
  gone: Promise<unknown>;
}

export const reports = new EventEmitter();
export const control = net.createServer((socket) => {
  socket.on("error", () => {});
  const gone = once(socket, "close");
  socket.once("data", (chunk) => reports.emit("report", { ...JSON.parse(String(chunk)), gone }));
});
export async function nextReport(accept: (report: Report) => boolean = () => true): Promise<Report> {
  for await (const [report] of on(reports, "report")) if (accept(report)) return report;
  throw new Error("no report");
}

const REPORT = `
  import net from "node:net";
  export function report(kind) {
    const socket = net.connect(Number(process.env.CONTROL), "127.0.0.1");
    const { PORT, TIDEWAY_INSTANCE, TIDEWAY_LINK, NODE_ENV, EXTRA } = process.env;
    socket.write(JSON.stringify({ kind, pid: process.pid, instance: TIDEWAY_INSTANCE, port: PORT, link: TIDEWAY_LINK,
      nodeEnv: NODE_ENV, extra: EXTRA, cwd: process.cwd(), execPath: process.execPath, argv: process.argv.slice(2) }));
    socket.on("error", () => process.exit(3));
  }
`;
const SCRIPTS: Record<string, string> = {
  "report.mjs": REPORT,
  "app.mjs": `import { report } from "./report.mjs"; console.log("hello"); console.error("watch out"); report("app");`,
  "stubborn.mjs": `import { report } from "./report.mjs"; process.on("SIGTERM", () => {}); report("app");`,
  "family.mjs": `import { spawn } from "node:child_process"; import { report } from "./report.mjs";
    spawn(process.execPath, ["stubborn.mjs"], { stdio: "ignore" }); report("parent");`,
  "crash.mjs": `console.error("first line"); console.error("cannot find the thing"); process.exit(7);`,
  "once.mjs": `import { existsSync, writeFileSync } from "node:fs"; import { report } from "./report.mjs";
    if (existsSync("once")) { console.error("no second one"); process.exit(9); } writeFileSync("once", ""); report("app");`,
  "crash-later.mjs": `import { existsSync } from "node:fs"; import { report } from "./report.mjs";
    if (existsSync("broken")) { console.error("broken now"); process.exit(9); } report("app");`,
};

export const lines: { fields: Record<string, unknown>; message: string }[] = [];
const record = (fields: object, message: string) => lines.push({ fields: fields as Record<string, unknown>, message });
export const logger: Logger = { debug: record, info: record, warn: record, error: record };

export let controlPort = 0;
before(async () => {
  control.listen(0, "127.0.0.1");
  await once(control, "listening");
  controlPort = (control.address() as net.AddressInfo).port;
});
after(() => {
  control.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  lines.length = 0;
  data = join(folder, `run-${++runs}`);
  mkdirSync(data);
  for (const [name, text] of Object.entries(SCRIPTS)) writeFileSync(join(data, name), text);
});

export class Observer {
  readonly events: string[] = [];
  readonly changes = new EventEmitter();
  drainWith: () => Promise<void> = () => Promise.resolve();
  onInstance(instance: InstanceAddress): void {
    this.#note("up", instance.id);
  }
  drain(id: string): Promise<void> {
    this.#note("drain", id);
    return this.drainWith();
  }
  onGone(id: string): void {
    this.#note("gone", id);
  }
  #note(what: string, id: string): void {
    this.events.push(`${what} ${id}`);
    this.changes.emit(`${what} ${id}`);
  }
}

export function hostOf(
  services: Record<string, Partial<ServiceSpec> & { command: string }>,
  observer = new Observer(),
  more: Partial<AppHostOptions> = {},
) {
  const env: NodeJS.ProcessEnv = { ...process.env, CONTROL: String(controlPort) };
  delete env.NODE_ENV;
  const base = { data, clock: systemClock, random: systemRandom, logger, env };
  const host = createAppHost({ ...base, ...more, services: specsOf(services), observer });
  return { host, observer };
}

/** In the test's folder, unless they say another. */
export function specsOf(services: Record<string, Partial<ServiceSpec> & { command: string }>) {
  return Object.fromEntries(Object.entries(services).map(([name, spec]) => [name, { cwd: data, ...spec }]));
}

/** Resolves when every instance is ready; `probe` must be on. */
export async function allReady(host: AppHost): Promise<void> {
  while (host.status().some(({ state }) => state !== InstanceState.ready)) await once(reports, "report");
}

/** From now on every child that reports is declared ready: a prober that never errs. */
export function probe(host: AppHost): () => void {
  const onReport = (report: Report) => host.ready(report.instance);
  reports.on("report", onReport);
  return () => reports.off("report", onReport);
}
