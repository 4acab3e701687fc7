/**
 * `npm run bench -- everything`: CPU per proxied GET with everything on that a gateway in service has on: access log, request
 * id, forwarded fields, metrics, rate limit. A whole Tideway beside nginx with its equivalents.
 */
import { truncateSync } from "node:fs";
import { join } from "node:path";
import { findProgram, requires } from "@tideway/scripts/requires";
import { getsColumns, measureGets } from "./load/gets.ts";
import {
  type Contender,
  startOrigin,
  startPeer,
  startTideway,
  temporaryFolder,
  type Whole,
} from "./measure/contenders.ts";
import type { Core } from "./measure/processes.ts";
import { rounds, table } from "./measure/table.ts";
import { fullNginxConfiguration } from "./peers/nginx.ts";
import { fullGateway } from "./servers/gateways.ts";

const roundCount = 5;
const load = { connections: 64, warmUpSeconds: 1, measureSeconds: 4 };

export interface Logging extends Contender {
  /** The access log's file. */
  readonly log: string;
}

/** A whole Tideway with everything on, with or without a trace for each request. */
export async function startFull(origin: number, traces: boolean, core: Core = "server"): Promise<Logging & Whole> {
  const folder = temporaryFolder();
  const log = join(folder, "access.log");
  const name = traces ? "tideway, and traces" : "tideway";
  return { ...(await startTideway(folder, fullGateway({ origin, log, traces }), { name, core })), log };
}

export async function startFullNginx(origin: number, core: Core = "server"): Promise<Logging> {
  const folder = temporaryFolder();
  const log = join(folder, "access.log");
  const configure = (port: number) => fullNginxConfiguration(folder, port, origin, log);
  return { ...(await startPeer("nginx", folder, configure, { core })), log };
}

export async function everything(): Promise<string> {
  const missing = requires("wrk");
  if (missing !== false) throw new Error(`The benchmark ${missing}.`);
  const origin = await startOrigin();
  const contenders: Logging[] = [];
  try {
    contenders.push(await startFull(origin.port, false));
    if (findProgram("nginx") !== null) contenders.push(await startFullNginx(origin.port));
    contenders.push(await startFull(origin.port, true));
    const rows = await rounds(roundCount, contenders, async (contender) => {
      const figures = await measureGets(contender, load);
      // A minute of this is half a gigabyte.
      truncateSync(contender.log);
      return figures;
    });
    return [
      `proxied GET, 100-byte body, ${load.connections} connections, with access log, request id, forwarded fields, metrics and ` +
        `rate limit; median of ${roundCount} rounds`,
      table(getsColumns, rows),
      ...(findProgram("nginx") === null ? ["nginx is left out: it is not installed"] : []),
    ].join("\n");
  } finally {
    for (const { program } of contenders) await program.stop();
    await origin.script.stop();
  }
}
