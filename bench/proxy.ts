/**
 * `npm run bench -- proxy`: CPU per proxied GET of 100 bytes over 64 keep-alive connections: a whole Tideway beside nginx and
 * HAProxy, and its path alone.
 */
import { requires } from "@tideway/scripts/requires";
import { getsColumns, measureGets } from "./load/gets.ts";
import { startGateways, startPath } from "./measure/contenders.ts";
import { rounds, table } from "./measure/table.ts";

const roundCount = 3;
const load = { connections: 64, warmUpSeconds: 1, measureSeconds: 4 };

export async function proxy(): Promise<string> {
  const missing = requires("wrk");
  if (missing !== false) throw new Error(`The benchmark ${missing}.`);
  await using gateways = await startGateways();
  const path = await startPath(gateways.origin);
  gateways.endings.defer(() => path.program.stop());
  const rows = await rounds(roundCount, [...gateways.contenders, path], (each) => measureGets(each, load));
  return [
    `proxied GET, 100-byte body, ${load.connections} connections, median of ${roundCount} rounds`,
    table(getsColumns, rows),
    ...gateways.leftOut,
  ].join("\n");
}
