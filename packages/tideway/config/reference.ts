/**
 * The configuration's reference, as Markdown: every key with what it may hold, its default and what it means, read from the
 * schema itself, so that it cannot say anything else. `docs/configuration.md` is what it says; a test keeps it so.
 */
import { limits } from "@tideway/base";
import type { z } from "zod";
import { configSchema } from "./schema.ts";

type AnySchema = z.core.$ZodType;

interface Definition {
  readonly type: string;
  readonly innerType?: AnySchema;
  readonly options?: readonly AnySchema[];
  readonly shape?: Record<string, AnySchema>;
  readonly element?: AnySchema;
  readonly valueType?: AnySchema;
  readonly values?: readonly unknown[];
  readonly entries?: Record<string, string>;
  readonly defaultValue?: unknown;
}

interface Row {
  readonly key: string;
  readonly holds: string;
  readonly otherwise: string;
  readonly meaning: string;
}

const definitionOf = (schema: AnySchema): Definition => schema._zod.def as unknown as Definition;
const descriptionOf = (schema: AnySchema): string => (schema as { description?: string }).description ?? "";

/** Sees through defaults and optionals; what they say on the way is kept. */
function unwrap(schema: AnySchema): { inner: AnySchema; meaning: string; otherwise: string } {
  let inner = schema;
  let meaning = "";
  let otherwise = "required";
  for (let definition = definitionOf(inner); definition.innerType !== undefined; definition = definitionOf(inner)) {
    meaning ||= descriptionOf(inner);
    if (definition.type === "optional" && otherwise === "required") otherwise = "";
    if (definition.type === "default" || definition.type === "prefault")
      otherwise = plainDefault(definition.defaultValue);
    inner = definition.innerType;
  }
  return { inner, meaning: meaning || descriptionOf(inner), otherwise };
}

/** Of an object only that it may be left out: its keys have rows of their own. */
function plainDefault(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return Array.isArray(value) && value.length === 0 ? "[]" : "";
}

/** What stands in the column of kinds; objects are told by the rows below them. */
function holds(schema: AnySchema): string {
  const { inner } = unwrap(schema);
  const { type, options, element, valueType, values, entries, shape } = definitionOf(inner);
  if (options !== undefined) return [...new Set(options.map(holds))].join(" or ");
  if (shape !== undefined) return "object";
  if (element !== undefined) return `list of ${holds(element)}`;
  if (valueType !== undefined) return `names → ${holds(valueType)}`;
  if (entries !== undefined)
    return Object.values(entries)
      .map((value) => JSON.stringify(value))
      .join(", ");
  if (values !== undefined) return values.map((value) => JSON.stringify(value)).join(", ");
  return type === "boolean" ? "true, false" : type;
}

/** The objects that a value may be, in unions and lists too, each with the path that leads there. */
function objectsIn(
  schema: AnySchema,
  path: string,
): { readonly shape: Record<string, AnySchema>; readonly path: string }[] {
  const { inner } = unwrap(schema);
  const { options, element, valueType, shape } = definitionOf(inner);
  if (shape !== undefined) return [{ shape, path }];
  if (options !== undefined) return options.flatMap((option) => objectsIn(option, path));
  if (element !== undefined) return objectsIn(element, `${path}[]`);
  if (valueType !== undefined) return objectsIn(valueType, `${path}.*`);
  return [];
}

function rowsOf(shape: Record<string, AnySchema>, path: string): Row[] {
  return Object.entries(shape).flatMap(([name, schema]) => {
    const key = path === "" ? name : `${path}.${name}`;
    const { meaning, otherwise } = unwrap(schema);
    const inner = sectionsAt.has(key) ? [] : objectsIn(schema, key).flatMap((found) => rowsOf(found.shape, found.path));
    return [{ key, holds: holds(schema), otherwise, meaning }, ...inner];
  });
}

/** Keys that have a section of their own. */
const sectionsAt: ReadonlySet<string> = new Set(["listen", "services", "sites"]);
const routeTitle = "A route: `sites[host][path]`, in place of a service's name; a list of them is tried in order";

function table(rows: readonly Row[]): string {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  const code = (text: string) => (text === "" ? "" : `\`${cell(text)}\``);
  const lines = rows.map(({ key, holds: kind, otherwise, meaning }) => {
    return `| ${code(key)} | ${cell(kind)} | ${otherwise === "required" ? "required" : code(otherwise)} | ${cell(meaning)} |`;
  });
  return ["| key | holds | default | meaning |", "| --- | --- | --- | --- |", ...lines].join("\n");
}

/** The whole page. */
export function reference(): string {
  const shape = definitionOf(configSchema).shape!;
  const section = (title: string, rows: readonly Row[]) => `## ${title}\n\n${table(rows)}\n`;
  const distinct = (schema: AnySchema) =>
    objectsIn(schema, "").map(({ shape: inner }) => ({ name: Object.keys(inner)[0]!, rows: rowsOf(inner, "") }));
  const parts = [
    "# The configuration\n",
    "Every key of `tideway.config.ts`, made from the schema that checks it. `tideway check` prints the effective values of yours,\neach with where it came from. Times are in milliseconds, sizes in bytes. A key that is not here is refused.\n",
    section("The whole", rowsOf(shape, "")),
    ...distinct(shape["listen"]!).map(({ rows }) => section(titleOfListener(rows), rows)),
    ...distinct(shape["services"]!).map(({ name, rows }) => section(`A service with \`${name}\``, rows)),
    section(routeTitle, distinct(shape["sites"]!)[0]!.rows),
    fixedBounds(),
  ];
  return parts.join("\n");
}

/** What is bounded without a key. */
function fixedBounds(): string {
  const rows = [
    [limits.chunkLineBytesMax, "bytes of a chunk's size with its extensions; beyond it 400"],
    [limits.replayBytesMax, "bytes of a request's body that are kept for a retry; a longer one is not sent again"],
    [limits.compressBytesMin, "bytes of an answer from which on it is compressed"],
    [limits.compressorsMax, "answers that are compressed as streams at once; further ones go as they are"],
    [limits.attachmentsMax, "binary attachments of one Socket.IO packet; beyond it the line is closed"],
    [limits.namespacesPerConnectionMax, "namespaces of one line; a CONNECT for one more ends it"],
    [
      limits.handoverQueueBytesMax,
      "bytes of a client's events that wait for another process; beyond it the line is closed",
    ],
  ].map(([bound, meaning]) => `| ${bound} | ${meaning} |`);
  return ["## Bounds without a key\n", "| bound | of what |", "| --- | --- |", ...rows, ""].join("\n");
}

function titleOfListener(rows: readonly Row[]): string {
  const has = (key: string) => rows.some((row) => row.key === key);
  if (has("tcp")) return "A listener for a TCP service: `listen[]`";
  return has("udp") ? "A listener for a UDP service: `listen[]`" : "A listener for HTTP: `listen[]`";
}
