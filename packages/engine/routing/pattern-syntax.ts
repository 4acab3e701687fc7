/**
 * Owns the reading of a pattern: the part of JavaScript's regular expressions that can be matched in one pass over the
 * text. Literals, `.`, classes, `\d \w \s \b` and their opposites, `^ $`, groups, `|`, and repetition; a lazy repetition
 * means the same, since only whether a pattern occurs is asked. Refused: references to groups, looking ahead and behind,
 * named groups, `\p`, and the odd characters that only a lenient reading takes.
 */

/** Pairs of first and last code unit, ascending, not touching. */
export type CharSet = readonly number[];

export const Edge = { start: 0, end: 1, word: 2, notWord: 3 } as const;
export type Edge = (typeof Edge)[keyof typeof Edge];

export type PatternNode =
  | { readonly kind: "set"; readonly set: CharSet }
  | { readonly kind: "edge"; readonly edge: Edge }
  | { readonly kind: "sequence"; readonly parts: readonly PatternNode[] }
  | { readonly kind: "choice"; readonly parts: readonly PatternNode[] }
  | { readonly kind: "repeat"; readonly part: PatternNode; readonly min: number; readonly max: number };

/** What is wrong with a pattern, in words for its author. */
export class PatternFault extends Error {
  override name = "PatternFault";
}

const charMax = 0xffff;
/** Groups within groups: the reader calls itself for each. */
const depthMax = 32;
const digits: CharSet = [0x30, 0x39];
const word: CharSet = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
// biome-ignore format: pairs read better side by side
const space: CharSet = [9, 13, 32, 32, 0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x202f,
  0x205f, 0x205f, 0x3000, 0x3000, 0xfeff, 0xfeff];
const lineEnds: CharSet = [10, 10, 13, 13, 0x2028, 0x2029];

const shorthand: ReadonlyMap<string, CharSet> = new Map([
  ["d", digits],
  ["D", opposite(digits)],
  ["w", word],
  ["W", opposite(word)],
  ["s", space],
  ["S", opposite(space)],
]);
const controls: ReadonlyMap<string, number> = new Map([
  ["t", 9],
  ["n", 10],
  ["v", 11],
  ["f", 12],
  ["r", 13],
]);

export function isWordChar(code: number): boolean {
  return inSet(word, code);
}

export function inSet(set: CharSet, code: number): boolean {
  for (let i = 0; i < set.length; i += 2) if (code <= set[i + 1]!) return code >= set[i]!;
  return false;
}

function opposite(set: CharSet): CharSet {
  const out: number[] = [];
  let next = 0;
  for (let i = 0; i < set.length; i += 2) {
    if (set[i]! > next) out.push(next, set[i]! - 1);
    next = set[i + 1]! + 1;
  }
  if (next <= charMax) out.push(next, charMax);
  return out;
}

function union(pairs: readonly (readonly [number, number])[]): CharSet {
  const out: number[] = [];
  for (const [first, last] of pairs.toSorted((a, b) => a[0] - b[0])) {
    const end = out.at(-1);
    if (end !== undefined && first <= end + 1) out[out.length - 1] = Math.max(end, last);
    else out.push(first, last);
  }
  return out;
}

/** Throws a {@link PatternFault}. */
export function parsePattern(source: string): PatternNode {
  const reader = new Reader(source);
  const node = reader.choice(0);
  if (!reader.done) throw new PatternFault("a `)` has no `(`: escape it as `\\)` if it is meant");
  return node;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    return this.#at >= this.#text.length;
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  choice(depth: number): PatternNode {
    if (depth > depthMax) throw new PatternFault(`groups may lie ${depthMax} deep`);
    const parts = [this.#sequence(depth)];
    while (this.#take("|")) parts.push(this.#sequence(depth));
    return parts.length === 1 ? parts[0]! : { kind: "choice", parts };
  }

  #sequence(depth: number): PatternNode {
    const parts: PatternNode[] = [];
    while (!this.done && !this.#text.startsWith("|", this.#at) && !this.#text.startsWith(")", this.#at)) {
      const grouped = this.#text.startsWith("(", this.#at);
      const part = this.#atom(depth);
      const repeated = this.#repeated(part);
      if (repeated !== part && part.kind === "edge" && !grouped)
        throw new PatternFault("an edge such as `^` or `\\b` cannot be repeated");
      parts.push(repeated);
    }
    return parts.length === 1 ? parts[0]! : { kind: "sequence", parts };
  }

  #atom(depth: number): PatternNode {
    if (this.#take("(")) return this.#group(depth);
    if (this.#take("[")) return { kind: "set", set: this.#class() };
    if (this.#take("^")) return { kind: "edge", edge: Edge.start };
    if (this.#take("$")) return { kind: "edge", edge: Edge.end };
    if (this.#take(".")) return { kind: "set", set: opposite(lineEnds) };
    if (this.#take("\\")) return this.#escape();
    const char = this.#text[this.#at]!;
    if ("*+?{".includes(char))
      throw new PatternFault(`nothing stands before \`${char}\` to repeat: escape it if it is meant`);
    if ("]}".includes(char)) throw new PatternFault(`escape it: \`\\${char}\``);
    this.#at++;
    return one(char.charCodeAt(0));
  }

  #group(depth: number): PatternNode {
    if (!this.#take("?:") && this.#text.startsWith("?", this.#at))
      throw new PatternFault(
        "of groups that begin with `?`, only `(?:…)` is supported: no looking ahead or behind, no names",
      );
    const node = this.choice(depth + 1);
    if (!this.#take(")")) throw new PatternFault("a `(` has no `)`: escape it as `\\(` if it is meant");
    return node;
  }

  #repeated(part: PatternNode): PatternNode {
    let range: [number, number];
    if (this.#take("*")) range = [0, Number.POSITIVE_INFINITY];
    else if (this.#take("+")) range = [1, Number.POSITIVE_INFINITY];
    else if (this.#take("?")) range = [0, 1];
    else if (this.#take("{")) range = this.#bounds();
    else return part;
    this.#take("?");
    return { kind: "repeat", part, min: range[0], max: range[1] };
  }

  #bounds(): [number, number] {
    const found = /^(\d{1,4})(?:(,)(\d{0,4}))?\}/.exec(this.#text.slice(this.#at, this.#at + 11));
    if (found === null) throw new PatternFault("write a repetition as {2}, {2,} or {2,5}, or escape the brace: `\\{`");
    this.#at += found[0].length;
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === "" ? Number.POSITIVE_INFINITY : Number(found[3]);
    if (max < min) throw new PatternFault("the smaller number of a repetition goes first");
    return [min, max];
  }

  #escape(): PatternNode {
    if (this.#take("b")) return { kind: "edge", edge: Edge.word };
    if (this.#take("B")) return { kind: "edge", edge: Edge.notWord };
    return { kind: "set", set: this.#escaped() };
  }

  /** What follows a backslash, in a class or outside. */
  #escaped(): CharSet {
    const char = this.#text[this.#at++];
    if (char === undefined) throw new PatternFault("a backslash stands at the end: double it if it is meant");
    const set = shorthand.get(char);
    if (set !== undefined) return set;
    const control = controls.get(char);
    if (control !== undefined) return [control, control];
    if (char === "x" || char === "u") {
      const length = char === "x" ? 2 : 4;
      const hex = this.#text.slice(this.#at, this.#at + length);
      if (hex.length !== length || !/^[0-9A-Fa-f]+$/.test(hex))
        throw new PatternFault(`\`\\${char}\` is followed by ${length} hexadecimal digits`);
      this.#at += length;
      const code = Number.parseInt(hex, 16);
      return [code, code];
    }
    if (/[0-9A-Za-z]/.test(char)) throw new PatternFault(`\`\\${char}\` is not supported`);
    return [char.charCodeAt(0), char.charCodeAt(0)];
  }

  #class(): CharSet {
    const negated = this.#take("^");
    const pairs: [number, number][] = [];
    while (!this.#take("]")) {
      const first = this.#classAtom();
      if (!this.#text.startsWith("-", this.#at) || this.#text.startsWith("-]", this.#at)) {
        for (let i = 0; i < first.length; i += 2) pairs.push([first[i]!, first[i + 1]!]);
        continue;
      }
      this.#at++;
      const last = this.#classAtom();
      const from = single(first);
      const to = single(last);
      if (from > to) throw new PatternFault("the smaller character of a range goes first");
      pairs.push([from, to]);
    }
    const set = union(pairs);
    return negated ? opposite(set) : set;
  }

  #classAtom(): CharSet {
    if (this.#take("\\")) return this.#take("b") ? [8, 8] : this.#escaped();
    const char = this.#text[this.#at++];
    if (char === undefined) throw new PatternFault("a `[` has no `]`: escape it as `\\[` if it is meant");
    return [char.charCodeAt(0), char.charCodeAt(0)];
  }
}

function one(code: number): PatternNode {
  return { kind: "set", set: [code, code] };
}

function single(set: CharSet): number {
  if (set.length !== 2 || set[0] !== set[1])
    throw new PatternFault("a range of characters has one character at each end");
  return set[0]!;
}
