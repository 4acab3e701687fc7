/**
 * Owns changes to a message's fields: set, add, remove. Checked and compiled once; applied per message as a pure function.
 * Refuses the fields that belong to one connection or to its framing, which are never the operator's to write, and those
 * that Tideway writes itself, which would then stand there twice.
 */
import type { FieldList } from "@tideway/base";
import { isToken, type Place, quoted, type RouteFault, RouteFaultCode } from "./faults.ts";
import { compileTemplate, fillTemplate, type PlaceholderValues, type Template } from "./template.ts";

export interface FieldChanges {
  /** Each replaces every line of its name, in the place of the first; without one it goes to the end. */
  readonly set?: Readonly<Record<string, string>> | undefined;
  /** Each is one more line, at the end. */
  readonly add?: Readonly<Record<string, string>> | undefined;
  /** All lines of these names. */
  readonly remove?: readonly string[] | undefined;
}

/** Whose fields are changed: they reserve different ones. */
export type MessageSide = "request" | "response";

export interface CompiledChanges {
  readonly ok: true;
  /** True when no value has a placeholder: `apply` needs no values then. */
  readonly fixed: boolean;
  /** `fields` with the changes: removed first, then set, then added. A new list; `fields` stays as it is. */
  apply(fields: FieldList, values: PlaceholderValues | null): FieldList;
}

export type FieldChangesResult = CompiledChanges | { readonly ok: false; readonly faults: readonly RouteFault[] };

interface Line {
  readonly name: string;
  readonly value: Template;
}

/** All faults are reported. `place` is that of the changes: `["sites", "a.test", "/", "request"]`. */
export function compileFieldChanges(changes: FieldChanges, side: MessageSide, place: Place): FieldChangesResult {
  const faults: RouteFault[] = [];
  const removed = readRemoved(changes.remove ?? [], side, [...place, "remove"], faults);
  const set = readLines(changes.set ?? {}, "set", side, [...place, "set"], faults);
  const added = readLines(changes.add ?? {}, "add", side, [...place, "add"], faults);
  for (const { name } of set) {
    if (!removed.has(name)) continue;
    const hint = "keep one: what is set replaces what was there";
    const allowed = "a name in `set` or in `remove`";
    faults.push({
      code: RouteFaultCode.duplicateField,
      place: [...place, "remove"],
      seen: quoted(name),
      allowed,
      hint,
    });
  }
  if (faults.length > 0) return { ok: false, faults };
  return new Changes(removed, set, added);
}

class Changes implements CompiledChanges {
  readonly ok = true;
  readonly fixed: boolean;
  readonly #set: readonly Line[];
  readonly #added: readonly Line[];
  /** Names whose lines do not pass as they are: -1 for removed ones, else the place in `#set`. */
  readonly #touched = new Map<string, number>();

  constructor(removed: ReadonlySet<string>, set: readonly Line[], added: readonly Line[]) {
    this.#set = set;
    this.#added = added;
    for (const name of removed) this.#touched.set(name, -1);
    for (const [index, { name }] of set.entries()) this.#touched.set(name, index);
    this.fixed = [...set, ...added].every(({ value }) => value.text !== null);
  }

  apply(fields: FieldList, values: PlaceholderValues | null): FieldList {
    const out: FieldList = [];
    /** How many of `#set` were written at their place: mostly none or all, so a mask is kept only for those that were. */
    let written: boolean[] | null = null;
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i]!;
      const touched = this.#touched.get(name);
      if (touched === undefined) out.push(name, fields[i + 1]!);
      else if (touched >= 0 && written?.[touched] !== true) {
        written ??= [];
        written[touched] = true;
        out.push(name, textOf(this.#set[touched]!, values));
      }
    }
    for (let i = 0; i < this.#set.length; i++) {
      if (written?.[i] !== true) out.push(this.#set[i]!.name, textOf(this.#set[i]!, values));
    }
    for (let i = 0; i < this.#added.length; i++) out.push(this.#added[i]!.name, textOf(this.#added[i]!, values));
    return out;
  }
}

function textOf({ value }: Line, values: PlaceholderValues | null): string {
  return value.text ?? fillTemplate(value, values!);
}

function readRemoved(names: readonly string[], side: MessageSide, place: Place, faults: RouteFault[]): Set<string> {
  const removed = new Set<string>();
  for (const [index, given] of names.entries()) {
    const name = readName(given, "remove", side, [...place, index], faults);
    if (name !== null) removed.add(name);
  }
  return removed;
}

function readLines(
  spec: Readonly<Record<string, string>>,
  change: "set" | "add",
  side: MessageSide,
  place: Place,
  faults: RouteFault[],
): Line[] {
  const lines: Line[] = [];
  for (const [given, text] of Object.entries(spec)) {
    const at = [...place, given];
    const name = readName(given, change, side, at, faults);
    if (!/^(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?$/.test(text)) {
      const allowed = "printable ASCII without white space at its ends";
      const hint = "a field's value is one line; encode what is not ASCII";
      faults.push({ code: RouteFaultCode.badFieldValue, place: at, seen: quoted(text), allowed, hint });
      continue;
    }
    const value = compileTemplate(text, at, faults);
    if (name === null || value === null) continue;
    if (lines.some((line) => line.name === name)) {
      const hint = "names of fields are the same in any case: remove one";
      faults.push({
        code: RouteFaultCode.duplicateField,
        place: at,
        seen: quoted(given),
        allowed: "each name once",
        hint,
      });
    } else lines.push({ name, value });
  }
  return lines;
}

function readName(
  given: string,
  change: "set" | "add" | "remove",
  side: MessageSide,
  place: Place,
  faults: RouteFault[],
): string | null {
  const name = given.toLowerCase();
  if (!isToken(name)) {
    const allowed = "a field's name: one word of letters, digits and -";
    const hint = "correct the name";
    faults.push({ code: RouteFaultCode.badFieldName, place, seen: quoted(given), allowed, hint });
    return null;
  }
  const hint = reservedHint(name, change, side);
  if (hint === null) return name;
  const allowed = "fields that travel from end to end and that Tideway does not write itself";
  faults.push({ code: RouteFaultCode.reservedField, place, seen: quoted(given), allowed, hint });
  return null;
}

const framing = new Set(["content-length", "transfer-encoding", "trailer"]);
const ofOneConnection = new Set(["connection", "keep-alive", "proxy-connection", "te", "upgrade", "http2-settings"]);
/** By the proxy, whose word an application takes. */
const writtenToServices = new Set(
  "forwarded x-forwarded-for x-forwarded-proto x-forwarded-host x-request-id".split(" "),
);
/** By the listener, in every answer. */
const writtenToClients = new Set(["date", "x-request-id"]);

/** Why the name may not be changed, and what to do instead; null when it may. */
function reservedHint(name: string, change: "set" | "add" | "remove", side: MessageSide): string | null {
  if (framing.has(name)) return "remove it: each message's framing is decided anew by Tideway";
  if (ofOneConnection.has(name)) return "remove it: it belongs to one connection and is never forwarded";
  if (side === "response") return writtenToClients.has(name) ? "remove it: Tideway writes it in every answer" : null;
  if (name === "expect") return "remove it: Tideway answers expectations itself";
  if (name === "host" && change !== "set") return "a request has one `host`: it can only be set";
  return writtenToServices.has(name) ? "remove it: Tideway writes it; see `trust` for proxies in front" : null;
}
