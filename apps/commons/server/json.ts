/**
 * Strict JSON (RFC 8259) with bounds. `JSON.parse` alone hides two things: it keeps the last of duplicate keys, so that
 * two readers may see different bodies, and its messages often lack the place. The scan here finds the first fault with
 * its line and column; the parse itself stays JSON.parse's.
 */

export const JSON_DEPTH_MAX = 16;

export type JsonResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly what: string; readonly line: number; readonly column: number };

interface Fault {
  readonly at: number;
  readonly what: string;
}

/** What may come next inside a container; a container's keys are kept to find duplicates. */
interface Level {
  readonly keys: Set<string> | null;
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const LITERAL = /true|false|null/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

export function parseJson(text: string): JsonResult {
  const fault = new Scan(text).run();
  if (fault === null) return { ok: true, value: JSON.parse(text) };
  const before = text.slice(0, fault.at);
  const line = before.split("\n").length;
  return { ok: false, what: fault.what, line, column: fault.at - (before.lastIndexOf("\n") + 1) + 1 };
}

/** One pass without recursion, so that depth costs no stack. */
class Scan {
  readonly #text: string;
  #at = 0;
  #levels: Level[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  run(): Fault | null {
    for (;;) {
      const opened = this.#value();
      if (typeof opened === "object") return opened;
      if (opened === "open") continue;
      const more = this.#afterValue();
      if (typeof more === "object") return more;
      if (more === "end") return null;
    }
  }

  /** A scalar, an empty container, or the opening of one up to where its first value stands. */
  #value(): "closed" | "open" | Fault {
    this.#space();
    const char = this.#text[this.#at];
    if (char === "{" || char === "[") {
      if (this.#levels.length === JSON_DEPTH_MAX) return this.#fault(`deeper than ${JSON_DEPTH_MAX} levels`);
      this.#at++;
      this.#space();
      const close = char === "{" ? "}" : "]";
      if (this.#text[this.#at] === close) {
        this.#at++;
        return "closed";
      }
      this.#levels.push({ keys: char === "{" ? new Set() : null });
      return (char === "{" ? this.#key() : null) ?? "open";
    }
    if (char === '"') return this.#string() ?? "closed";
    for (const pattern of [NUMBER, LITERAL]) {
      pattern.lastIndex = this.#at;
      if (pattern.test(this.#text)) {
        this.#at = pattern.lastIndex;
        return "closed";
      }
    }
    return this.#fault(char === undefined ? "a value is missing" : "not a value");
  }

  /** A comma and, in an object, the next key; or closing brackets; or the end of the text. */
  #afterValue(): "more" | "end" | Fault {
    for (;;) {
      this.#space();
      const level = this.#levels.at(-1);
      const char = this.#text[this.#at];
      if (level === undefined) return char === undefined ? "end" : this.#fault("something follows the value");
      const close = level.keys === null ? "]" : "}";
      if (char === ",") {
        this.#at++;
        return (level.keys === null ? null : this.#key()) ?? "more";
      }
      if (char !== close) return this.#fault(`a comma or ${close} is missing`);
      this.#at++;
      this.#levels.pop();
    }
  }

  #key(): Fault | null {
    this.#space();
    const start = this.#at;
    if (this.#text[start] !== '"') return this.#fault("a key in quotation marks is missing");
    const fault = this.#string();
    if (fault !== null) return fault;
    const key = JSON.parse(this.#text.slice(start, this.#at)) as string;
    const keys = this.#levels.at(-1)!.keys!;
    if (keys.has(key)) return { at: start, what: "this key stands here twice" };
    keys.add(key);
    this.#space();
    if (this.#text[this.#at] !== ":") return this.#fault("a colon is missing");
    this.#at++;
    return null;
  }

  #string(): Fault | null {
    for (this.#at++; ; ) {
      const code = this.#text.charCodeAt(this.#at);
      if (Number.isNaN(code)) return this.#fault("the string does not end");
      if (code === 0x22) {
        this.#at++;
        return null;
      }
      if (code < 0x20) return this.#fault("a control character in a string must be escaped");
      if (code !== 0x5c) {
        this.#at++;
        continue;
      }
      ESCAPE.lastIndex = this.#at;
      if (!ESCAPE.test(this.#text)) return this.#fault("not an escape sequence");
      this.#at = ESCAPE.lastIndex;
    }
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #fault(what: string): Fault {
    return { at: this.#at, what };
  }
}
