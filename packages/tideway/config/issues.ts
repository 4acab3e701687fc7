/**
 * From the schema's findings to sentences for the person who wrote the file: where (file and key path), what was seen,
 * what is allowed, how to mend it. Owns wording; knows nothing of what the values mean.
 */
import type { z } from "zod";

export interface Issue {
  /** Key path as it is written in the file: `services.web.instances`, `listen[0].port`. */
  readonly path: string;
  readonly seen: string;
  readonly allowed: string;
  readonly hint: string;
}

type Key = string | number;
type RawIssue = z.core.$ZodIssue;
type AnySchema = z.core.$ZodType;

export function formatPath(path: readonly PropertyKey[]): string {
  let out = "";
  for (const key of path) {
    if (typeof key === "number") out += `[${key}]`;
    else if (/^[A-Za-z_$][\w$]*$/.test(String(key))) out += out === "" ? String(key) : `.${String(key)}`;
    else out += `[${JSON.stringify(String(key))}]`;
  }
  return out === "" ? "(top level)" : out;
}

/** A value as the reader wrote it, cut to a line. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "function") return "a function";
  let text: string;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    text = "a value that refers to itself";
  }
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

/** The closest of `names` to `given`, when it is close enough to be a slip of the hand. */
export function closest(given: string, names: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(given.length / 3)) + 1;
  for (const name of names) {
    const distance = editDistance(given.toLowerCase(), name.toLowerCase());
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** Optimal string alignment: insertions, deletions, replacements and swaps of neighbours cost 1 each. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let value = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        value = Math.min(value, rows[i - 2]![j - 2]! + 1);
      row.push(value);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

/** All findings about `input`, in the file's words. Findings inside a union are those of the branch that was meant. */
export function explainIssues(schema: AnySchema, input: unknown, issues: readonly RawIssue[]): Issue[] {
  return issues.flatMap((issue) => explain(schema, input, issue, []));
}

function explain(schema: AnySchema, input: unknown, issue: RawIssue, base: readonly PropertyKey[]): Issue[] {
  const path = [...base, ...issue.path];
  const value = at(input, path);
  const where = formatPath(path);
  if (issue.code === "unrecognized_keys") {
    const names = keysAllowed(schema, input, path);
    return issue.keys.map((key) => unknownKey([...path, key], at(input, [...path, key]), key, names));
  }
  if (issue.code === "invalid_union") {
    const branch = intendedBranch(issue.errors);
    if (branch !== null) return branch.flatMap((inner) => explain(schema, input, inner, path));
    const allowed = [
      ...new Set(
        issue.errors.flatMap((errors) =>
          errors.flatMap((e) => (e.path.length === 0 ? allowedOf(e) : (missingKey(e) ?? []))),
        ),
      ),
    ];
    return [
      {
        path: where,
        seen: show(value),
        allowed: allowed.join(", or ") || "another shape",
        hint: "Write one of these.",
      },
    ];
  }
  if (issue.code === "invalid_key") {
    const allowed = issue.issues.map((inner) => inner.message).join("; ");
    return [{ path: where, seen: show(path.at(-1)), allowed: allowed || "another name", hint: "Rename this key." }];
  }
  const missing = value === undefined;
  return [
    {
      path: where,
      seen: show(value),
      allowed: allowedOf(issue),
      hint: missing ? "Add this key." : "Change the value, or leave the key out if it has a default.",
    },
  ];
}

function unknownKey(path: readonly PropertyKey[], value: unknown, key: string, names: readonly string[]): Issue {
  const near = closest(key, names);
  const hint = near === null ? "Remove it, or use one of the allowed keys." : `Did you mean ${JSON.stringify(near)}?`;
  return {
    path: formatPath(path),
    seen: `an unknown key with ${show(value)}`,
    allowed: names.join(", ") || "no keys",
    hint,
  };
}

/** What the schema expects, for whom a record is a thing to play music from. */
const kindNames: Readonly<Record<string, string>> = {
  int: "a whole number",
  record: "an object",
  object: "an object",
  array: "a list",
  boolean: "true or false",
};

function allowedOf(issue: RawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return kindNames[issue.expected] ?? `a ${issue.expected}`;
    case "invalid_value":
      return issue.values.map((value) => JSON.stringify(value)).join(" | ");
    case "too_big":
      return `at most ${issue.maximum}`;
    case "too_small":
      return issue.origin === "string" || issue.origin === "array" ? "not empty" : `at least ${issue.minimum}`;
    case "invalid_format":
      return issue.format === "url"
        ? "an http:// URL"
        : issue.format === "starts_with"
          ? "a path that begins with /"
          : issue.message;
    default:
      return issue.message;
  }
}

/**
 * The branch of a union that the writer meant: of those that fit the value's kind, the one with the fewest faults. None
 * when the value's very kind is wrong, or when it has nothing that tells the branches apart.
 */
function intendedBranch(branches: readonly (readonly RawIssue[])[]): readonly RawIssue[] | null {
  const isWhole = ({ code, path }: RawIssue) =>
    path.length === 0 && (code === "invalid_type" || code === "invalid_value");
  const fitting = branches.filter((issues) => !issues.some(isWhole)).toSorted((a, b) => a.length - b.length);
  const [best, next] = fitting;
  if (best === undefined) return null;
  const isUndecided = next?.length === best.length && best.every((issue) => missingKey(issue) !== null);
  return isUndecided ? null : best;
}

/** The key that the finding misses in the value itself; null for other findings. */
function missingKey(issue: RawIssue): string | null {
  const isMissing =
    issue.code === "invalid_type" && issue.path.length === 1 && issue.message.endsWith("received undefined");
  return isMissing ? `a key ${JSON.stringify(String(issue.path[0]))}` : null;
}

/** Keys that the schema knows at `path`; where several branches are possible, those of the branch that the value fits best. */
function keysAllowed(schema: AnySchema, input: unknown, path: readonly PropertyKey[]): string[] {
  let candidates = flatten(schema);
  let value = input;
  for (const key of path) {
    candidates = candidates.flatMap((candidate) => flatten(childOf(candidate, key)));
    value = at(value, [key]);
  }
  const shapes = candidates
    .map((candidate) => Object.keys(shapeOf(candidate) ?? {}))
    .filter((names) => names.length > 0);
  const given = typeof value === "object" && value !== null ? Object.keys(value) : [];
  const fit = (names: string[]) => names.filter((name) => given.includes(name)).length;
  return shapes.reduce<string[]>((best, next) => (best.length === 0 || fit(next) > fit(best) ? next : best), []);
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  let current = value;
  for (const key of path) {
    if (typeof current !== "object" || current === null) return undefined;
    current = (current as Record<PropertyKey, unknown>)[key as Key];
  }
  return current;
}

interface Definition {
  type: string;
  innerType?: AnySchema;
  options?: readonly AnySchema[];
  shape?: Record<string, AnySchema>;
  element?: AnySchema;
  valueType?: AnySchema;
}

const definitionOf = (schema: AnySchema): Definition => schema._zod.def as unknown as Definition;
const shapeOf = (schema: AnySchema) => definitionOf(schema).shape;

/** Sees through defaults and optionals, and lists the branches of unions. */
function flatten(schema: AnySchema | undefined): AnySchema[] {
  if (schema === undefined) return [];
  const definition = definitionOf(schema);
  if (definition.innerType !== undefined) return flatten(definition.innerType);
  if (definition.options !== undefined) return definition.options.flatMap(flatten);
  return [schema];
}

function childOf(schema: AnySchema, key: PropertyKey): AnySchema | undefined {
  const definition = definitionOf(schema);
  return definition.shape?.[String(key)] ?? definition.element ?? definition.valueType;
}
