/**
 * `npm run bench -- proxy`: CPU per proxied GET of 100 bytes over 64 keep-alive connections: a whole Tideway, and its path
 * alone, beside nginx and HAProxy.
 */
import { findProgram, requires } from "@tideway/scripts/requires";
import { getsColumns, measureGets } from "./load/gets.ts";
import {
  type Contender,
  startOrigin,
  startPath,
  startPeer,
  startTideway,
  temporaryFolder,
} from "./measure/contenders.ts";
import { rounds, table } from "./measure/table.ts";
import { haproxyConfiguration } from "./peers/haproxy.ts";
import { nginxConfiguration } from "./peers/nginx.ts";
import { plainGateway } from "./servers/gateways.ts";

const roundCount = 3;
const load = { connections: 64, warmUpSeconds: 1, measureSeconds: 4 };

export async function proxy(): Promise<string> {
  const missing = requires("wrk");
  if (missing !== false) throw new Error(`The benchmark ${missing}.`);
  const origin = await startOrigin();
  const contenders: Contender[] = [];
  const leftOut: string[] = [];
  try {
    contenders.push(await startTideway(temporaryFolder(), plainGateway(origin.port)));
    for (const name of ["nginx", "haproxy"] as const) {
      const folder = temporaryFolder();
      const configure = (port: number) =>
        name === "nginx" ? nginxConfiguration(folder, port, origin.port) : haproxyConfiguration(port, origin.port);
      if (findProgram(name) === null) leftOut.push(name);
      else contenders.push(await startPeer(name, folder, configure));
    }
    contenders.push(await startPath(origin.port));
    const rows = await rounds(roundCount, contenders, (contender) => measureGets(contender, load));
    const title = `proxied GET, 100-byte body, ${load.connections} connections, median of ${roundCount} rounds`;
    return [title, table(getsColumns, rows), ...leftOut.map((name) => `${name} is left out: it is not installed`)].join(
      "\n",
    );
  } finally {
    for (const { program } of contenders) await program.stop();
    await origin.script.stop();
  }
}
