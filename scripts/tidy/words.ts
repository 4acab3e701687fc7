/** Words that must not be committed: places that exist on one machine only, unfinished work, tests that are switched off. */
import type { Finding, Repository } from "./repository.ts";
import { lineAt } from "./source.ts";

const everywhere: readonly { readonly pattern: RegExp; readonly why: string }[] = [
  { pattern: /(?<![\w.~-])\/(?:work|root)\/[\w.-]*/g, why: "is a path of one machine" },
  { pattern: /(?<![\w.~-])\/(?:home|Users)\/[\w-]+\//g, why: "is a path of one machine" },
  {
    pattern: /\b(?:[\w-]+\.)*(?:registry|mirrors?|artifactory)\.(?:[\w-]+\.)+(?:com|org|net|io|dev)\b[\w./:-]*/g,
    why: "is a registry's host; any mirror must do",
  },
  { pattern: /\bCo-Authored-By\b/g, why: "says who typed, which belongs to no file" },
];
const unfinished = /\b(?:TODO|FIXME|XXX|HACK)\b/g;

const rulesFolder = "scripts/tidy/";

export function bannedWords(repository: Repository): Finding[] {
  const findings: Finding[] = [];
  for (const { path, text } of repository.files) {
    // The rules and their tests must name what they ban.
    if (path.startsWith(rulesFolder) || path === "LICENSE") continue;
    for (const { pattern, why } of everywhere) {
      for (const match of text.matchAll(pattern)) {
        findings.push({ rule: "words", path, line: lineAt(text, match.index), message: `${match[0]} ${why}` });
      }
    }
    if (path.endsWith(".md") || path === "package-lock.json") continue;
    for (const match of text.matchAll(unfinished)) {
      findings.push({
        rule: "unfinished",
        path,
        line: lineAt(text, match.index),
        message: `${match[0]}: finish it, or open an issue`,
      });
    }
  }
  return findings;
}

const switchedOff: readonly { readonly pattern: RegExp; readonly message: string }[] = [
  {
    pattern: /(?<![\w$])(?:test|it|describe|suite)\.only\b|\bonly:\s*true\b/g,
    message: "runs alone and hides all others",
  },
  { pattern: /(?<![\w$])(?:test|it|describe|suite)\.(?:skip|todo)\b/g, message: 'give the reason: { skip: "why" }' },
  { pattern: /\b(?:skip|todo):\s*true\b|(?<![\w$.])t\.(?:skip|todo)\(\s*\)/g, message: "give the reason as a string" },
];

export function testsSwitchedOff(repository: Repository): Finding[] {
  return repository.sources
    .filter(({ path }) => /\.test\.tsx?$/.test(path) && !path.startsWith(rulesFolder))
    .flatMap(({ path, code, text }) =>
      switchedOff.flatMap(({ pattern, message }) =>
        [...code.matchAll(pattern)].map((match) => ({
          rule: "tests",
          path,
          line: lineAt(text, match.index),
          message: `${match[0].trim()}: ${message}`,
        })),
      ),
    );
}
