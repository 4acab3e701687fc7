/**
 * A file has 400 lines at most, a function 70. What is longer today stands in `ratchet.json` with its size, which may only
 * shrink. Functions are found by their indentation, which Biome guarantees; those of tests are not measured, since a
 * suite is a function too.
 */
import { type Finding, isTest, type Repository } from "./repository.ts";
import type { Source } from "./source.ts";

const fileLinesMax = 400;
const functionLinesMax = 70;

/** File, or `file#function`, to lines. */
export type Ratchet = Readonly<Record<string, number>>;

interface Measured {
  readonly key: string;
  readonly path: string;
  readonly line?: number;
  readonly lines: number;
  readonly limit: number;
}

export function sizes(repository: Repository, ratchet: Ratchet): Finding[] {
  const measured = repository.sources.flatMap(measure);
  const byKey = new Map(measured.map((each) => [each.key, each]));
  const findings: Finding[] = [];
  const report = (path: string, message: string, line?: number): void => {
    findings.push({ rule: "size", path, message, ...(line === undefined ? {} : { line }) });
  };
  for (const { key, path, line, lines, limit } of measured) {
    const name = key.includes("#") ? `${key.slice(key.indexOf("#") + 1)} has` : "has";
    if (lines > limit && lines > (ratchet[key] ?? 0)) {
      const listed =
        ratchet[key] === undefined ? `the limit is ${limit}` : `it had ${ratchet[key]}, and may only shrink`;
      report(path, `${name} ${lines} lines; ${listed}: look for the noun that wants out`, line);
    }
  }
  for (const [key, lines] of Object.entries(ratchet)) {
    const now = byKey.get(key);
    if (now !== undefined && now.lines >= lines && lines > now.limit) continue;
    const state =
      now === undefined || now.lines <= now.limit ? "is within the limit or gone" : `has only ${now.lines} lines now`;
    report("scripts/tidy/ratchet.json", `${key} ${state}: run node scripts/tidy.ts --shrink`);
  }
  return findings;
}

/** The ratchet with every entry lowered to what is there now, and without those that are no longer needed. */
export function shrink(repository: Repository, ratchet: Ratchet): Ratchet {
  const measured = new Map(repository.sources.flatMap(measure).map((each) => [each.key, each]));
  return Object.fromEntries(
    Object.entries(ratchet).flatMap(([key, lines]) => {
      const now = measured.get(key);
      return now !== undefined && now.lines > now.limit ? [[key, Math.min(lines, now.lines)]] : [];
    }),
  );
}

function measure(source: Source): Measured[] {
  const { path, text } = source;
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  const file: Measured = { key: path, path, lines, limit: fileLinesMax };
  if (isTest(path)) return [file];
  return [
    file,
    ...functionsOf(source).map((each) => ({ ...each, key: `${path}#${each.name}`, path, limit: functionLinesMax })),
  ];
}

interface FunctionSize {
  readonly name: string;
  readonly line: number;
  readonly lines: number;
}

const notFunctions =
  /^(?:\}?\s*(?:if|for|while|switch|catch|do|else|try|finally|with)\b|(?:export\s+)?(?:default\s+)?(?:abstract\s+)?(?:class|interface|type|enum|namespace|declare)\b)/;
const declaration =
  /^(?:(?:export|default|async|static|private|protected|public|override|readonly|get|set)\s+)*(?:function\b\s*\*?\s*|\*\s*)?(#?[\w$]+|\[[^\]]*\])\s*(?:<.*>)?\(/;
const assignment =
  /^(?:(?:export|const|let|static|private|readonly)\s+)*(#?[\w$.]+)\s*(?::.*?)?[=:]\s*(?:async\s*)?(?:function\b.*|.*=>\s*)\{$/;

/** Functions and methods with a body of more than one line, with their lines from the head to the closing brace. */
function functionsOf(source: Source): FunctionSize[] {
  const lines = source.code.split("\n");
  const found: FunctionSize[] = [];
  lines.forEach((line, index) => {
    if (!/\{\s*$/.test(line) || /[({[,]\s*\{\s*$/.test(line)) return;
    const indent = indentOf(line);
    const start = startOf(lines, index, indent);
    const head = lines
      .slice(start, index + 1)
      .map((each) => each.trim())
      .join(" ");
    if (notFunctions.test(head)) return;
    const isArrow = /=>\s*\{$/.test(head);
    const name = (isArrow ? assignment : declaration).exec(head)?.[1] ?? (isArrow ? "(arrow)" : null);
    if (name === null || (!isArrow && !/\)\s*(?::.*)?\{$/.test(head))) return;
    const end = lines.findIndex((each, at) => at > index && indentOf(each) === indent && /^\s*\}/.test(each));
    if (end > 0) found.push({ name, line: start + 1, lines: end - start + 1 });
  });
  return found;
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}

/** A head that is spread over several lines closes with `)` at its own indentation; its first line is above. */
function startOf(lines: readonly string[], index: number, indent: number): number {
  let start = index;
  while (/^\s*[)>\]]/.test(lines[start]!)) {
    do start--;
    while (start > 0 && (lines[start]!.trim() === "" || indentOf(lines[start]!) > indent));
  }
  return start;
}
