/**
 * Reads the `command` of a service. Simple words, with quotes and backslashes as in a shell, run without one: no extra
 * process, and signals reach the program itself. Anything that only a shell understands is given to `/bin/sh -c`.
 */

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
}

/** Characters that mean something to a shell when they stand outside quotes. */
const SHELL_WORDS = /[|&;<>()$`*?[\]{}~#!\n]/;

export function parseCommand(text: string): Command {
  const words = splitWords(text.trim());
  const [file, ...args] = words ?? [];
  // `A=b program` sets a variable: a shell's matter too.
  if (file === undefined || /^\w+=/.test(file)) return { file: "/bin/sh", args: ["-c", text] };
  return { file, args };
}

/** The words, or null when the text needs a shell (or has a quote that never ends: the shell says so best). */
function splitWords(text: string): string[] | null {
  const words: string[] = [];
  let word: string | null = null;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === "'") {
      const end = text.indexOf("'", i + 1);
      if (end < 0) return null;
      word = (word ?? "") + text.slice(i + 1, end);
      i = end;
    } else if (c === '"') {
      const quoted = readDoubleQuoted(text, i + 1);
      if (quoted === null) return null;
      word = (word ?? "") + quoted.value;
      i = quoted.next - 1;
    } else if (c === "\\") {
      if (++i >= text.length) return null;
      word = (word ?? "") + text[i]!;
    } else if (c === " " || c === "\t") {
      if (word !== null) words.push(word);
      word = null;
    } else if (SHELL_WORDS.test(c)) {
      return null;
    } else {
      word = (word ?? "") + c;
    }
  }
  if (word !== null) words.push(word);
  return words;
}

function readDoubleQuoted(text: string, start: number): { value: string; next: number } | null {
  let value = "";
  for (let i = start; i < text.length; i++) {
    const c = text[i]!;
    if (c === '"') return { value, next: i + 1 };
    if (c === "$" || c === "`") return null;
    // Inside double quotes a backslash only takes away the meaning of these (POSIX 2.2.3).
    if (c === "\\" && '"\\$`'.includes(text[i + 1] ?? " ")) value += text[++i]!;
    else value += c;
  }
  return null;
}
