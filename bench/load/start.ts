/** Starts the load generator: a process of its own, so that it takes no time of a server. */
import { type Core, Script } from "../measure/processes.ts";

export async function startLoad(core: Core): Promise<Script> {
  return (await Script.start(core, new URL("./process.ts", import.meta.url))).script;
}
