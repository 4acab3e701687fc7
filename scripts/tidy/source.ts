/**
 * What the rules see of a source file: its code without comments and string contents (so that no rule trips over prose),
 * its imports and its strings. A scanner, not a parser: it relies on the code being formatted by Biome.
 */

export interface Import {
  readonly specifier: string;
  /** Erased when the program runs. */
  readonly typeOnly: boolean;
  /** What stands between `import` and `from`. */
  readonly clause: string;
  readonly line: number;
}

export interface Source {
  readonly path: string;
  readonly text: string;
  /** As long as `text`, line for line, with comments and the contents of strings blanked. */
  readonly code: string;
  readonly imports: readonly Import[];
  readonly strings: readonly string[];
}

/** A `/` after one of these begins a regular expression, otherwise it divides. */
const beforeRegex =
  /(?:^|[(,=:[!&|?{;+\-*%~^>]|\b(?:return|typeof|case|in|of|delete|void|throw|else|do|await|yield))\s*$/;

interface Scan {
  readonly text: string;
  readonly out: string[];
  readonly strings: string[];
  at: number;
}

function blank(scan: Scan, from: number, to: number): void {
  for (let i = from; i < to; i++) scan.out[i] = scan.text[i] === "\n" ? "\n" : " ";
}

/** A quoted string on one line. An apostrophe in the text between JSX tags has no end on its line, and is left alone. */
function scanQuoted(scan: Scan): void {
  const { text, at } = scan;
  let end = at + 1;
  while (end < text.length && text[end] !== text[at] && text[end] !== "\n") end += text[end] === "\\" ? 2 : 1;
  if (text[end] !== text[at]) {
    scan.at++;
    return;
  }
  scan.strings.push(text.slice(at + 1, end));
  blank(scan, at + 1, end);
  scan.at = end + 1;
}

/** A template: its text is blanked, the expressions in it stay code. */
function scanTemplate(scan: Scan): void {
  const { text } = scan;
  let start = ++scan.at;
  const close = (end: number): void => {
    scan.strings.push(text.slice(start, end));
    blank(scan, start, end);
  };
  while (scan.at < text.length) {
    if (text[scan.at] === "\\") scan.at += 2;
    else if (text[scan.at] === "`") {
      close(scan.at++);
      return;
    } else if (text.startsWith("${", scan.at)) {
      close(scan.at);
      scan.at += 2;
      scanCode(scan, "}");
      start = scan.at;
    } else scan.at++;
  }
}

function scanRegex(scan: Scan): void {
  const { text, at } = scan;
  let end = at + 1;
  for (let inClass = false; end < text.length && text[end] !== "\n"; end++) {
    if (text[end] === "\\") end++;
    else if (text[end] === "[") inClass = true;
    else if (text[end] === "]") inClass = false;
    else if (text[end] === "/" && !inClass) break;
  }
  if (text[end] === "/") {
    blank(scan, at + 1, end);
    scan.at = end + 1;
  } else scan.at++;
}

/** Scans to the end, or past the `}` that closes the bracket in which it began. */
function scanCode(scan: Scan, until: "}" | null): void {
  const { text } = scan;
  for (let depth = 0; scan.at < text.length; ) {
    const c = text[scan.at]!;
    if (text.startsWith("//", scan.at) || text.startsWith("/*", scan.at)) {
      const isLine = text[scan.at + 1] === "/";
      const found = isLine ? text.indexOf("\n", scan.at) : text.indexOf("*/", scan.at + 2) + 2;
      const end = found < scan.at + 2 ? text.length : found;
      blank(scan, scan.at, end);
      scan.at = end;
    } else if (c === '"' || c === "'") scanQuoted(scan);
    else if (c === "`") scanTemplate(scan);
    else if (c === "/" && beforeRegex.test(scan.out.slice(Math.max(0, scan.at - 20), scan.at).join("")))
      scanRegex(scan);
    else {
      scan.at++;
      if (c === "{") depth++;
      else if (c === "}" && --depth < 0 && until === "}") return;
    }
  }
}

const importForms: readonly RegExp[] = [
  /(?<![\w$.])(?:import|export)\s+(?<type>type\s+(?!from\b|,))?[\w$*{}\s,]*?(?<![\w$.])from\s*(?<quote>["'])/g,
  /(?<![\w$.])import\s*(?<quote>["'])/g,
  /(?<![\w$.])import\s*\(\s*(?<quote>["'])/g,
];

function findImports(text: string, code: string): Import[] {
  const found: Import[] = [];
  for (const form of importForms) {
    for (const match of code.matchAll(form)) {
      const start = match.index + match[0].length;
      const specifier = text.slice(start, text.indexOf(match.groups!["quote"]!, start));
      const clause = /\{.*\}|\*/s.exec(match[0])?.[0] ?? "";
      found.push({ specifier, typeOnly: match.groups!["type"] !== undefined, clause, line: lineAt(text, start) });
    }
  }
  return found.sort((a, b) => a.line - b.line);
}

/** Line number, from 1. */
export function lineAt(text: string, index: number): number {
  let line = 1;
  for (let i = text.indexOf("\n"); i >= 0 && i < index; i = text.indexOf("\n", i + 1)) line++;
  return line;
}

export function parseSource(path: string, text: string): Source {
  const scan: Scan = { text, out: [...Array(text.length).keys()].map((i) => text[i]!), strings: [], at: 0 };
  if (text.startsWith("#!")) {
    scan.at = text.indexOf("\n");
    blank(scan, 0, scan.at);
  }
  scanCode(scan, null);
  const code = scan.out.join("");
  return { path, text, code, imports: findImports(text, code), strings: scan.strings };
}
