/**
 * Owns patterns that are safe to run on what a client wrote: whether one occurs in a text is found in one pass, with time
 * in proportion to text × pattern, whatever either holds (Thompson's construction, all states at once). JavaScript's own
 * engine tries one way after the other, and some patterns and texts take it years.
 */
import {
  type CharSet,
  Edge,
  inSet,
  isWordChar,
  PatternFault,
  type PatternNode,
  parsePattern,
} from "./pattern-syntax.ts";

/** A longer value is not looked at: it does not match. Bounds the time of one test to about a millisecond. */
export const patternValueMax = 2048;
/** Steps of a compiled pattern; counted repetitions are written out. */
export const patternStepsMax = 256;

export interface Pattern {
  /** True when it occurs anywhere in `value`. */
  test(value: string): boolean;
}

export type CompiledPattern =
  | { readonly ok: true; readonly pattern: Pattern }
  | { readonly ok: false; readonly allowed: string; readonly hint: string };

/** `source` is what stands between the slashes of a regular expression; no flags. */
export function compilePattern(source: string): CompiledPattern {
  try {
    const program = new Program();
    program.add(parsePattern(source));
    return { ok: true, pattern: new StateSets(program.finish()) };
  } catch (error) {
    if (!(error instanceof PatternFault)) throw error;
    const allowed = "a regular expression without references and without looking ahead or behind";
    return { ok: false, allowed, hint: error.message };
  }
}

const Op = { set: 0, split: 1, edge: 2, match: 3 } as const;
type Op = (typeof Op)[keyof typeof Op];

interface Step {
  readonly op: Op;
  /** Where it goes on; a split goes to both. */
  next: number;
  other: number;
  readonly set: CharSet;
  readonly edge: Edge;
}

const noSet: CharSet = [];

/** The pattern as steps, one behind the other. */
class Program {
  readonly #steps: Step[] = [];

  finish(): readonly Step[] {
    this.#push(Op.match);
    return this.#steps;
  }

  add(node: PatternNode): void {
    switch (node.kind) {
      case "set":
        this.#push(Op.set, node.set);
        return;
      case "edge":
        this.#push(Op.edge, noSet, node.edge);
        return;
      case "sequence":
        for (const part of node.parts) this.add(part);
        return;
      case "choice":
        this.#addChoice(node.parts);
        return;
      case "repeat":
        this.#addRepeat(node.part, node.min, node.max);
        return;
    }
  }

  #addChoice(parts: readonly PatternNode[]): void {
    const ends: Step[] = [];
    for (const [index, part] of parts.entries()) {
      if (index === parts.length - 1) {
        this.add(part);
        break;
      }
      const split = this.#push(Op.split);
      this.add(part);
      // Goes on behind the last part: a split with both ways the same.
      ends.push(this.#push(Op.split));
      split.other = this.#steps.length;
    }
    for (const end of ends) end.next = end.other = this.#steps.length;
  }

  #addRepeat(part: PatternNode, min: number, max: number): void {
    for (let i = 0; i < min; i++) {
      const before = this.#steps.length;
      this.add(part);
      // Nothing, however often: `(){9999}` within another would be written out for ever.
      if (this.#steps.length === before) return;
    }
    if (max === Number.POSITIVE_INFINITY) {
      const at = this.#steps.length;
      const split = this.#push(Op.split);
      this.add(part);
      const back = this.#push(Op.split);
      back.next = back.other = at;
      split.other = this.#steps.length;
      return;
    }
    const splits: Step[] = [];
    for (let i = min; i < max; i++) {
      splits.push(this.#push(Op.split));
      this.add(part);
    }
    for (const split of splits) split.other = this.#steps.length;
  }

  #push(op: Op, set: CharSet = noSet, edge: Edge = Edge.start): Step {
    if (this.#steps.length >= patternStepsMax)
      throw new PatternFault(
        `it takes more than ${patternStepsMax} steps: counted repetitions such as {100} are written out`,
      );
    const next = this.#steps.length + 1;
    const step: Step = { op, next, other: next, set, edge };
    this.#steps.push(step);
    return step;
  }
}

/** Runs a program: the set of steps that could be next, moved over the text character by character. */
class StateSets implements Pattern {
  readonly #steps: readonly Step[];
  #now: Uint16Array;
  #nowCount = 0;
  #then: Uint16Array;
  readonly #stack: number[] = [];
  /** For each step the position, plus 1, at which it was reached last in this test. */
  readonly #reached: Int32Array;

  constructor(steps: readonly Step[]) {
    this.#steps = steps;
    this.#now = new Uint16Array(steps.length);
    this.#then = new Uint16Array(steps.length);
    this.#reached = new Int32Array(steps.length);
  }

  test(value: string): boolean {
    if (value.length > patternValueMax) return false;
    this.#reached.fill(0);
    this.#nowCount = 0;
    for (let at = 0; at <= value.length; at++) {
      // It may begin at any character.
      if (this.#reach(0, value, at)) return true;
      if (at === value.length) break;
      if (this.#move(value, at)) return true;
    }
    return false;
  }

  /** Steps over the character at `at`: what takes it is followed from the next position. */
  #move(value: string, at: number): boolean {
    const code = value.charCodeAt(at);
    const from = this.#now;
    const count = this.#nowCount;
    this.#now = this.#then;
    this.#then = from;
    this.#nowCount = 0;
    for (let i = 0; i < count; i++) {
      const step = this.#steps[from[i]!]!;
      if (inSet(step.set, code) && this.#reach(step.next, value, at + 1)) return true;
    }
    return false;
  }

  /** Adds a step and all that follows from it without a character; true when the end of the pattern is among them. */
  #reach(first: number, value: string, at: number): boolean {
    const stack = this.#stack;
    stack.length = 0;
    stack.push(first);
    for (let index = stack.pop(); index !== undefined; index = stack.pop()) {
      if (this.#reached[index] === at + 1) continue;
      this.#reached[index] = at + 1;
      const step = this.#steps[index]!;
      if (step.op === Op.match) return true;
      if (step.op === Op.set) this.#now[this.#nowCount++] = index;
      else if (step.op === Op.split) stack.push(step.other, step.next);
      else if (edgeHolds(step.edge, value, at)) stack.push(step.next);
    }
    return false;
  }
}

function edgeHolds(edge: Edge, value: string, at: number): boolean {
  if (edge === Edge.start) return at === 0;
  if (edge === Edge.end) return at === value.length;
  const before = at > 0 && isWordChar(value.charCodeAt(at - 1));
  const after = at < value.length && isWordChar(value.charCodeAt(at));
  return (before !== after) === (edge === Edge.word);
}
