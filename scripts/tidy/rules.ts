/** All rules, in the order in which their findings are printed. */
import { bannedCalls } from "./calls.ts";
import { deadFiles } from "./dead.ts";
import { importCycles, importDirection } from "./layers.ts";
import { declaredImports, pinnedDependencies, roomsComplete } from "./manifests.ts";
import type { Finding, Repository } from "./repository.ts";
import { type Ratchet, sizes } from "./sizes.ts";
import { bannedWords, testsSwitchedOff } from "./words.ts";

export function check(repository: Repository, ratchet: Ratchet): Finding[] {
  return [
    ...importDirection(repository),
    ...importCycles(repository),
    ...bannedCalls(repository),
    ...deadFiles(repository),
    ...roomsComplete(repository),
    ...pinnedDependencies(repository),
    ...declaredImports(repository),
    ...sizes(repository, ratchet),
    ...bannedWords(repository),
    ...testsSwitchedOff(repository),
  ];
}
