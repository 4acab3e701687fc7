/**
 * What a schema allows at a place, and which branch of a union a value was meant for. Owns the way through zod's own
 * structures; says nothing to anybody.
 */
import type { z } from "zod";

export type AnySchema = z.core.$ZodType;
export type RawIssue = z.core.$ZodIssue;

interface Definition {
  type: string;
  innerType?: AnySchema;
  options?: readonly AnySchema[];
  shape?: Record<string, AnySchema>;
  element?: AnySchema;
  valueType?: AnySchema;
}

const definitionOf = (schema: AnySchema): Definition => schema._zod.def as unknown as Definition;

/** Sees through defaults and optionals. */
function unwrapped(schema: AnySchema): AnySchema {
  const { innerType } = definitionOf(schema);
  return innerType === undefined ? schema : unwrapped(innerType);
}

/** The branches of a union, in their order; those that are unions too stay whole. */
function branchesOf(schema: AnySchema): readonly AnySchema[] {
  const inner = unwrapped(schema);
  return definitionOf(inner).options ?? [inner];
}

function flatten(schema: AnySchema | undefined): AnySchema[] {
  if (schema === undefined) return [];
  const branches = branchesOf(schema);
  return branches.length === 1 ? [branches[0]!] : branches.flatMap(flatten);
}

function childOf(schema: AnySchema, key: PropertyKey): AnySchema | undefined {
  const definition = definitionOf(schema);
  return definition.shape?.[String(key)] ?? definition.element ?? definition.valueType;
}

/** Every schema that may stand at `path`. */
function schemasAt(schema: AnySchema, path: readonly PropertyKey[]): AnySchema[] {
  let found = [schema];
  for (const key of path) found = found.flatMap(flatten).flatMap((each) => childOf(each, key) ?? []);
  return found;
}

/** Every key that the schema knows: `limits.fieldsMax`, `services.*.sticky.cookie`, `listen[].port`. */
export function keysBelow(schema: AnySchema, path = ""): string[] {
  const found = flatten(schema).flatMap((each) => {
    const { element, valueType, shape = {} } = definitionOf(each);
    if (element !== undefined) return keysBelow(element, `${path}[]`);
    if (valueType !== undefined) return keysBelow(valueType, `${path}.*`);
    return Object.entries(shape).flatMap(([key, inner]) => {
      const own = path === "" ? key : `${path}.${key}`;
      return [own, ...keysBelow(inner, own)];
    });
  });
  return [...new Set(found)];
}

export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let current = value;
  for (const key of path) {
    if (typeof current !== "object" || current === null) return undefined;
    current = (current as Record<PropertyKey, unknown>)[key];
  }
  return current;
}

/** Keys that the schema knows at `path`; of several branches, those of the one that `value` fits best. */
export function keysAllowed(schema: AnySchema, path: readonly PropertyKey[], value: unknown): string[] {
  const shapes = schemasAt(schema, path)
    .flatMap(flatten)
    .map((each) => Object.keys(definitionOf(each).shape ?? {}))
    .filter((names) => names.length > 0);
  const given = typeof value === "object" && value !== null ? Object.keys(value) : [];
  const fit = (names: string[]) => names.filter((name) => given.includes(name)).length;
  return shapes.reduce<string[]>((best, next) => (best.length === 0 || fit(next) > fit(best) ? next : best), []);
}

/** A branch of a union with what it found wrong; `schema` is null where it cannot be told. */
export interface Branch {
  readonly schema: AnySchema | null;
  readonly issues: readonly RawIssue[];
}

/** The branches of the union at `path`, each with its findings. */
export function branchesAt(
  schema: AnySchema,
  path: readonly PropertyKey[],
  errors: readonly (readonly RawIssue[])[],
): Branch[] {
  const unions = schemasAt(schema, path).map(branchesOf);
  const union = unions.find((branches) => branches.length === errors.length) ?? [];
  return errors.map((issues, at) => ({ schema: union[at] ?? null, issues }));
}

/**
 * The branch that the writer meant: of those that fit the value's kind, the one with the fewest faults, among which a key
 * that is missing counts most and one that nobody knows next. None when the value's very kind is wrong, or when it has
 * nothing that tells the branches apart.
 */
export function intendedBranch(branches: readonly Branch[]): Branch | null {
  const isWhole = ({ code, path }: RawIssue) =>
    path.length === 0 && (code === "invalid_type" || code === "invalid_value");
  const fitting = branches.filter(({ issues }) => !issues.some(isWhole)).toSorted((a, b) => compare(a, b));
  const [best, next] = fitting;
  if (best === undefined) return null;
  const isUndecided =
    next?.issues.length === best.issues.length && best.issues.every((issue) => missingKey(issue) !== null);
  return isUndecided ? null : best;
}

function compare({ issues: a }: Branch, { issues: b }: Branch): number {
  const missing = (issues: readonly RawIssue[]) => issues.filter((issue) => missingKey(issue) !== null).length;
  const unknown = (issues: readonly RawIssue[]) =>
    issues.filter(({ code, path }) => code === "unrecognized_keys" && path.length === 0).length;
  return missing(a) - missing(b) || unknown(a) - unknown(b) || a.length - b.length;
}

/** The key that the finding misses in the value itself; null for other findings. */
export function missingKey(issue: RawIssue): string | null {
  const isMissing =
    issue.code === "invalid_type" && issue.path.length === 1 && issue.message.endsWith("received undefined");
  return isMissing ? String(issue.path[0]) : null;
}

/** What each branch needs and no other one has: what tells a service with a `command` from one with `upstreams`. */
function ownKeys(branches: readonly AnySchema[]): string[][] {
  const shapes = branches.map((branch) => definitionOf(unwrapped(branch)).shape ?? {});
  const isOwn = (shape: Record<string, AnySchema>, key: string): boolean =>
    shape[key]!._zod.optin === undefined && shapes.every((other) => other === shape || !(key in other));
  return shapes.map((shape) => Object.keys(shape).filter((key) => isOwn(shape, key)));
}

/** Keys that `value` has of several branches of the union at `path`, of which it may have one; null where it has not. */
export function rivals(
  schema: AnySchema,
  path: readonly PropertyKey[],
  value: unknown,
): { readonly seen: readonly string[]; readonly all: readonly string[] } | null {
  if (typeof value !== "object" || value === null) return null;
  for (const branches of schemasAt(schema, path).map(branchesOf)) {
    const own = ownKeys(branches);
    const seen = own.flatMap((keys) => keys.find((key) => key in value) ?? []);
    if (seen.length > 1) return { seen, all: own.flat() };
  }
  return null;
}

/** The branch of the union at `path` that `value` names by a key of its own; null where that cannot be told. */
export function namedBranch(schema: AnySchema, path: readonly PropertyKey[], value: unknown): AnySchema | null {
  if (typeof value !== "object" || value === null) return null;
  for (const branches of schemasAt(schema, path).map(branchesOf)) {
    const own = ownKeys(branches);
    const found = branches.find((_, at) => own[at]!.some((key) => key in value));
    if (branches.length > 1 && found !== undefined) return found;
  }
  return null;
}
