/** Below `edge/` there is no I/O, no clock and no chance: time and randomness are arguments. */
import { type Finding, isTest, type Repository } from "./repository.ts";
import { pureTiers, roomOf } from "./rooms.ts";
import { type Import, lineAt } from "./source.ts";

const global = "(?<![\\w$.#])(?:globalThis\\.)?";

const banned: readonly { readonly pattern: RegExp; readonly instead: string }[] = [
  { pattern: new RegExp(`${global}Date\\.now\\b`, "g"), instead: "take the time as an argument" },
  { pattern: /(?<![\w$.])new\s+Date\s*(?:\(\s*\)|(?!\s*\())/g, instead: "take the time as an argument" },
  { pattern: new RegExp(`${global}performance\\.`, "g"), instead: "take a Clock" },
  {
    pattern: new RegExp(`${global}(?:setTimeout|setInterval|setImmediate|queueMicrotask)\\b(?!\\s*\\??:)`, "g"),
    instead: "take a Clock",
  },
  { pattern: new RegExp(`${global}Math\\.random\\b`, "g"), instead: "take a Random" },
  { pattern: new RegExp(`${global}crypto\\.`, "g"), instead: "take a Random" },
  { pattern: new RegExp(`${global}process\\.`, "g"), instead: "take what it is read for as an argument" },
  { pattern: new RegExp(`${global}(?:fetch|WebSocket)\\s*\\(`, "g"), instead: "leave I/O to edge/" },
];

/** Memory, and a digest: deterministic, and no I/O. */
function isPure({ specifier, clause }: Import): boolean {
  return specifier === "node:buffer" || (specifier === "node:crypto" && /^\{\s*createHash\s*\}$/.test(clause));
}

export function bannedCalls(repository: Repository): Finding[] {
  const findings: Finding[] = [];
  for (const source of repository.sources) {
    const room = roomOf(source.path);
    if (room === null || !pureTiers.includes(room.tier) || isTest(source.path)) continue;
    const report = (line: number, message: string): void => {
      findings.push({ rule: "pure", path: source.path, line, message });
    };
    for (const { pattern, instead } of banned) {
      for (const match of source.code.matchAll(pattern)) {
        report(lineAt(source.text, match.index), `${match[0].trim()} is banned below edge/: ${instead}`);
      }
    }
    for (const imported of source.imports) {
      const { specifier, typeOnly, line } = imported;
      if (repository.resolve(source.path, imported).kind !== "builtin" || typeOnly || isPure(imported)) continue;
      report(line, `${specifier} is banned below edge/ (its types may be imported with import type)`);
    }
  }
  return findings;
}
