/**
 * From the schema's findings to sentences for the person who wrote the file: where (file and key path), what was seen,
 * what is allowed, how to mend it. Owns wording; knows nothing of what the values mean.
 */
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import {
  type AnySchema,
  branchesAt,
  intendedBranch,
  keysAllowed,
  missingKey,
  namedBranch,
  type RawIssue,
  rivals,
  valueAt,
} from "./schema-walk.ts";

export interface Issue {
  /** Key path as it is written in the file: `services.web.instances`, `listen[0].port`. */
  readonly path: string;
  readonly seen: string;
  readonly allowed: string;
  readonly hint: string;
}

/** Keys of an object that are listed where one is expected. */
const keysShownMax = 6;

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
  const all = issues.flatMap((issue) => explain(schema, input, issue, []));
  return all.filter((issue, at) => all.findIndex((other) => isDeepStrictEqual(other, issue)) === at);
}

/** `schema` and `input` are what stands at `base`. */
function explain(schema: AnySchema, input: unknown, issue: RawIssue, base: readonly PropertyKey[]): Issue[] {
  const value = valueAt(input, issue.path);
  const path = [...base, ...issue.path];
  const where = formatPath(path);
  if (issue.code === "unrecognized_keys" || issue.code === "invalid_union") {
    const several = rivals(schema, issue.path, value);
    if (several !== null) return [rivalry(where, several)];
  }
  if (issue.code === "unrecognized_keys") return explainUnknown(schema, value, issue, path);
  if (issue.code === "invalid_union") return explainUnion(schema, value, issue, path);
  if (issue.code === "invalid_key") {
    const allowed = issue.issues.map((inner) => inner.message).join("; ");
    return [{ path: where, seen: show(path.at(-1)), allowed: allowed || "another name", hint: "Rename this key." }];
  }
  const allowed = allowedOf(issue, keysAllowed(schema, issue.path, {}));
  return [{ path: where, seen: show(value), allowed, hint: hintFor(value, issue) }];
}

function explainUnion(
  schema: AnySchema,
  value: unknown,
  issue: RawIssue & { code: "invalid_union" },
  path: readonly PropertyKey[],
): Issue[] {
  const where = formatPath(path);
  const branches = branchesAt(schema, issue.path, issue.errors);
  const named = namedBranch(schema, issue.path, value);
  const branch = branches.find((each) => named !== null && each.schema === named) ?? intendedBranch(branches);
  if (branch !== null) return branch.issues.flatMap((inner) => explain(branch.schema ?? schema, value, inner, path));
  const allowed = branches.flatMap(({ schema: own, issues }) =>
    issues.flatMap((inner) => {
      if (inner.path.length === 0) return allowedOf(inner, own === null ? [] : keysAllowed(own, [], {}));
      const key = missingKey(inner);
      return key === null ? [] : `a key ${JSON.stringify(key)}`;
    }),
  );
  return [
    {
      path: where,
      seen: show(value),
      allowed: [...new Set(allowed)].join(", or ") || "another shape",
      hint: nearest(value, issue.errors.flat()) ?? "Write one of these.",
    },
  ];
}

function rivalry(path: string, { seen, all }: { seen: readonly string[]; all: readonly string[] }): Issue {
  const quoted = (keys: readonly string[], by: string) => keys.map((key) => `\`${key}\``).join(by);
  const hint = "Keep the one that is meant.";
  return { path, seen: quoted(seen, " and "), allowed: `one of ${quoted(all, " | ")}`, hint };
}

/** To zod, a branch that does not know a key is nearer than one with a fault inside: the key says which one was meant. */
function explainUnknown(
  schema: AnySchema,
  value: unknown,
  issue: RawIssue & { code: "unrecognized_keys" },
  path: readonly PropertyKey[],
): Issue[] {
  const named = namedBranch(schema, issue.path, value);
  if (named !== null) {
    const again = z.safeParse(named, value);
    if (!again.success) return again.error.issues.flatMap((inner) => explain(named, value, inner, path));
  }
  const names = keysAllowed(schema, issue.path, value);
  return issue.keys.map((key) => unknownKey([...path, key], valueAt(value, [key]), key, names));
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

function hintFor(value: unknown, issue: RawIssue): string {
  if (value === undefined) return "Add this key.";
  if (issue.code === "invalid_type" && issue.expected === "array" && typeof value === "string")
    return `Write [${JSON.stringify(value)}].`;
  return nearest(value, [issue]) ?? "Change the value, or leave the key out if it has a default.";
}

/** Of the words that could stand there, the one that was meant. */
function nearest(value: unknown, issues: readonly RawIssue[]): string | null {
  if (typeof value !== "string") return null;
  const words = issues.flatMap((issue) => (issue.code === "invalid_value" ? issue.values : []));
  const near = closest(
    value,
    words.filter((word) => typeof word === "string"),
  );
  return near === null ? null : `Did you mean ${JSON.stringify(near)}?`;
}

/** What the schema expects, for whom a record is a thing to play music from. */
const kindNames: Readonly<Record<string, string>> = {
  int: "a whole number",
  record: "an object",
  object: "an object",
  array: "a list",
  boolean: "true or false",
};

/** `keys` are those of the object that is expected, when one is. */
function allowedOf(issue: RawIssue, keys: readonly string[]): string {
  switch (issue.code) {
    case "invalid_type": {
      const kind = kindNames[issue.expected] ?? `a ${issue.expected}`;
      if (kind !== "an object" || keys.length === 0) return kind;
      const more = keys.length > keysShownMax ? ", …" : "";
      return `${kind} { ${keys.slice(0, keysShownMax).join(", ")}${more} }`;
    }
    case "invalid_value":
      return issue.values.map((value) => JSON.stringify(value)).join(" | ");
    case "too_big":
      return issue.inclusive === false ? `less than ${issue.maximum}` : `at most ${issue.maximum}`;
    case "too_small":
      if (issue.origin === "string" || issue.origin === "array") return "not empty";
      return issue.inclusive === false ? `more than ${issue.minimum}` : `at least ${issue.minimum}`;
    case "invalid_format":
      if (issue.format === "url") return "an http:// URL, such as http://127.0.0.1:3001";
      return issue.format === "starts_with" ? "a path that begins with /" : issue.message;
    default:
      return issue.message;
  }
}
