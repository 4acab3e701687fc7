/**
 * Owns the conditions of a route: what `when` may say, and whether a request's head meets it. All must be met; of several
 * lines of a field, or several parameters of a name, one that meets its test is enough. Refuses to know what a route
 * leads to. Conditions choose between routes; they are no protection, for a client writes its head as it likes.
 */
import type { FieldList } from "@tideway/base";
import { isToken, list, type Place, quoted, type RouteFault, RouteFaultCode } from "./faults.ts";
import { compilePattern, type Pattern, patternValueMax } from "./pattern.ts";
import { parameter } from "./query.ts";

/** `true`: present. `false`: absent. Text: exactly this value. `matches`: a pattern that occurs in the value. */
export type ValueTest = boolean | string | { readonly matches: string };

/** As written in `when`. */
export interface ConditionSpec {
  /** One or several methods. `GET` takes HEAD too (RFC 9110 §9.3.2). */
  readonly method?: string | readonly string[] | undefined;
  /** By name of the field, in any case. */
  readonly header?: Readonly<Record<string, ValueTest>> | undefined;
  /** By name of the parameter, decoded. */
  readonly query?: Readonly<Record<string, ValueTest>> | undefined;
}

/** What conditions look at: a RequestHead fits. */
export interface ConditionedHead {
  readonly method: string;
  /** With its leading `?`; empty when there is none. */
  readonly query: string;
  readonly fields: FieldList;
}

const Test = { present: 0, absent: 1, exact: 2, matches: 3 } as const;
type Test = (typeof Test)[keyof typeof Test];

interface NamedTest {
  readonly name: string;
  readonly test: Test;
  /** The value for `exact`, the source for `matches`. */
  readonly text: string;
  readonly pattern: Pattern | null;
}

export interface Conditions {
  /** Null for any. */
  readonly methods: ReadonlySet<string> | null;
  readonly header: readonly NamedTest[];
  readonly query: readonly NamedTest[];
}

/** One condition and what became of it, for `explain`. */
export interface ConditionStep {
  /** `header x-beta is "1"`. */
  readonly condition: string;
  readonly holds: boolean;
  readonly seen: string;
}

export function methodHolds(conditions: Conditions, method: string): boolean {
  return conditions.methods === null || conditions.methods.has(method);
}

/** All conditions but the one on the method. */
export function restHolds(conditions: Conditions, head: ConditionedHead): boolean {
  for (let i = 0; i < conditions.header.length; i++) {
    if (!fieldHolds(conditions.header[i]!, head.fields)) return false;
  }
  for (let i = 0; i < conditions.query.length; i++) {
    if (!parameterHolds(conditions.query[i]!, head.query)) return false;
  }
  return true;
}

function fieldHolds(test: NamedTest, fields: FieldList): boolean {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== test.name) continue;
    if (test.test === Test.absent) return false;
    if (valueHolds(test, fields[i + 1]!)) return true;
  }
  return test.test === Test.absent;
}

function parameterHolds(test: NamedTest, query: string): boolean {
  for (let found = parameter(query, test.name, 1); found !== null; found = parameter(query, test.name, found.next)) {
    if (test.test === Test.absent) return false;
    if (valueHolds(test, found.value)) return true;
  }
  return test.test === Test.absent;
}

function valueHolds({ test, text, pattern }: NamedTest, value: string): boolean {
  if (test === Test.exact) return value === text;
  if (test === Test.matches) return pattern!.test(value);
  return true;
}

/* ------------------------------------------------------------------ explain */

/** Every condition with what was seen, decided by the functions above. */
export function explainConditions(conditions: Conditions, head: ConditionedHead): ConditionStep[] {
  const steps: ConditionStep[] = [];
  if (conditions.methods !== null) {
    const condition = `method is ${[...conditions.methods].join(" or ")}`;
    steps.push({ condition, holds: methodHolds(conditions, head.method), seen: head.method });
  }
  for (const test of conditions.header) {
    const values: string[] = [];
    for (let i = 0; i < head.fields.length; i += 2) if (head.fields[i] === test.name) values.push(head.fields[i + 1]!);
    steps.push(stepOf("header", test, values, fieldHolds(test, head.fields)));
  }
  for (const test of conditions.query) {
    const values: string[] = [];
    for (let found = parameter(head.query, test.name, 1); found !== null; ) {
      values.push(found.value);
      found = parameter(head.query, test.name, found.next);
    }
    steps.push(stepOf("query", test, values, parameterHolds(test, head.query)));
  }
  return steps;
}

function stepOf(part: string, test: NamedTest, values: readonly string[], holds: boolean): ConditionStep {
  const tooLong = test.test === Test.matches && values.some((value) => value.length > patternValueMax);
  const note = tooLong ? ` (over ${patternValueMax} characters: not matched)` : "";
  const seen = values.length === 0 ? "absent" : values.map(quoted).join(", ") + note;
  return { condition: `${part} ${test.name} ${wish(test)}`, holds, seen };
}

function wish({ test, text }: NamedTest): string {
  if (test === Test.exact) return `is ${quoted(text)}`;
  if (test === Test.matches) return `matches /${text}/`;
  return test === Test.present ? "is present" : "is absent";
}

/* ------------------------------------------------------------------ compile */

/** Null when something is wrong; every fault is reported. `place` is that of `when`. */
export function compileConditions(spec: ConditionSpec, place: Place, faults: RouteFault[]): Conditions | null {
  const before = faults.length;
  const methods = spec.method === undefined ? null : compileMethods(spec.method, [...place, "method"], faults);
  const header = compileTests("header", spec.header ?? {}, [...place, "header"], faults);
  const query = compileTests("query", spec.query ?? {}, [...place, "query"], faults);
  if (faults.length > before) return null;
  if (methods === null && header.length + query.length === 0) {
    const hint = "say a condition, or leave `when` out: a route without one takes every request";
    const allowed = "at least one condition of method, header or query";
    faults.push({ code: RouteFaultCode.badCondition, place, seen: "no condition", allowed, hint });
    return null;
  }
  return { methods, header, query };
}

const knownMethods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"];

function compileMethods(spec: string | readonly string[], place: Place, faults: RouteFault[]): ReadonlySet<string> {
  const given = typeof spec === "string" ? [spec] : spec;
  const methods = new Set<string>();
  const refuse = (at: Place, seen: string, hint: string): void => {
    const allowed = `a method or several: ${list(knownMethods)}, or another token`;
    faults.push({ code: RouteFaultCode.badMethod, place: at, seen, allowed, hint });
  };
  if (given.length === 0) refuse(place, "no method", "name one, or leave `method` out");
  for (const [index, method] of given.entries()) {
    const at = typeof spec === "string" ? place : [...place, index];
    const upper = method.toUpperCase();
    if (!isToken(method)) refuse(at, quoted(method), "a method is one word without spaces");
    else if (method !== upper && knownMethods.includes(upper))
      refuse(at, quoted(method), `methods are case-sensitive: write "${upper}"`);
    else methods.add(method);
  }
  // Whatever answers GET must answer HEAD (RFC 9110 §9.1); the target leaves the body out.
  if (methods.has("GET")) methods.add("HEAD");
  return methods;
}

function compileTests(
  part: "header" | "query",
  spec: Readonly<Record<string, ValueTest>>,
  place: Place,
  faults: RouteFault[],
): NamedTest[] {
  const tests: NamedTest[] = [];
  for (const [key, value] of Object.entries(spec)) {
    const name = part === "header" ? key.toLowerCase() : key;
    const at = [...place, key];
    const fault = part === "header" ? headerFault(name, tests) : key === "" ? "name the parameter" : "";
    if (fault !== "") {
      const allowed = part === "header" ? "names of fields, each once, such as x-beta" : "names of parameters";
      const code = part === "header" && isToken(name) ? RouteFaultCode.duplicateField : RouteFaultCode.badCondition;
      faults.push({ code, place: at, seen: quoted(key), allowed, hint: fault });
      continue;
    }
    const test = compileTest(part, name, value, at, faults);
    if (test !== null) tests.push(test);
  }
  return tests;
}

function headerFault(name: string, tests: readonly NamedTest[]): string {
  if (!isToken(name)) return "a field's name is one word of letters, digits and -";
  return tests.some((test) => test.name === name) ? "names of fields are the same in any case: remove one" : "";
}

function compileTest(
  part: "header" | "query",
  name: string,
  value: ValueTest,
  place: Place,
  faults: RouteFault[],
): NamedTest | null {
  if (value === true) return { name, test: Test.present, text: "", pattern: null };
  if (value === false) return { name, test: Test.absent, text: "", pattern: null };
  if (typeof value === "string") {
    // What the parser trims or refuses can never be equal.
    if (part === "query" || /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/.test(value))
      return { name, test: Test.exact, text: value, pattern: null };
    const hint =
      "a field's value has no control characters and no white space at its ends: no request could have this one";
    const allowed = "a value that a field can have";
    faults.push({ code: RouteFaultCode.badCondition, place, seen: quoted(value), allowed, hint });
    return null;
  }
  const compiled = compilePattern(value.matches);
  if (compiled.ok) return { name, test: Test.matches, text: value.matches, pattern: compiled.pattern };
  const { allowed, hint } = compiled;
  faults.push({
    code: RouteFaultCode.badPattern,
    place: [...place, "matches"],
    seen: quoted(value.matches),
    allowed,
    hint,
  });
  return null;
}
