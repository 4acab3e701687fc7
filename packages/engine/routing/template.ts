/**
 * Owns texts with placeholders: `https://{host}{path}`. Compiled once, an unknown placeholder refused; filled in per
 * request. `{{` and `}}` stand for braces. What is filled in was parsed strictly by the listener, and is asserted to hold
 * no character that could end a line: a field is written from it.
 */
import { assert, type Exchange } from "@tideway/base";
import { type Place, quoted, type RouteFault, RouteFaultCode } from "./faults.ts";

/** What placeholders stand for. */
export interface PlaceholderValues {
  /** Host name without port; empty for HTTP/1.0 without one. */
  readonly host: string;
  /** Normalised. */
  readonly path: string;
  /** With its leading `?`; empty when there is none. */
  readonly query: string;
  readonly method: string;
  /** `http` or `https`. */
  readonly scheme: string;
  /** The client's. */
  readonly address: string;
  /** The listener's: the one that the request came to. */
  readonly port: number;
  /** The request's id. */
  readonly id: string;
  /** The service that answers; empty when none does. */
  readonly service: string;
}

/** What an exchange says by itself; behind a trusted proxy, address and scheme are better known elsewhere. */
export function placeholderValues(
  { id, head, client }: Pick<Exchange, "id" | "head" | "client">,
  service: string,
): PlaceholderValues {
  const { host, path, query, method } = head;
  const { address, localPort, secure } = client;
  return { host, path, query, method, scheme: secure ? "https" : "http", address, port: localPort, id, service };
}

export type Placeholder = keyof PlaceholderValues;

const placeholders: readonly Placeholder[] = [
  "host",
  "path",
  "query",
  "method",
  "scheme",
  "address",
  "port",
  "id",
  "service",
];

export interface Template {
  /** The whole text, when it has no placeholders; null when it must be filled in. */
  readonly text: string | null;
  /** Text, placeholder, text … : literals at even places. */
  readonly literals: readonly string[];
  readonly names: readonly Placeholder[];
}

/** Null when something is wrong. What may stand in the text besides is the caller's to check. */
export function compileTemplate(source: string, place: Place, faults: RouteFault[]): Template | null {
  const before = faults.length;
  const literals: string[] = [];
  const names: Placeholder[] = [];
  let literal = "";
  for (const [piece] of source.matchAll(/\{\{|\}\}|\{[^{}]*\}|[^{}]+|[{}]/g)) {
    if (piece === "{{" || piece === "}}") literal += piece[0];
    else if (piece === "{" || piece === "}") {
      const allowed = "placeholders such as {host}; a brace itself is written twice";
      const hint = `write "${piece}${piece}" for a brace, or complete the placeholder`;
      faults.push({ code: RouteFaultCode.badTemplate, place, seen: quoted(source), allowed, hint });
    } else if (piece.startsWith("{")) {
      const name = placeholders.find((each) => `{${each}}` === piece);
      if (name === undefined) {
        const allowed = placeholders.map((each) => `{${each}}`).join(" ");
        const hint = `correct it, or write braces twice where they are meant: "{${piece}}"`;
        faults.push({ code: RouteFaultCode.unknownPlaceholder, place, seen: piece, allowed, hint });
        continue;
      }
      literals.push(literal);
      names.push(name);
      literal = "";
    } else literal += piece;
  }
  if (faults.length > before) return null;
  literals.push(literal);
  return { text: names.length === 0 ? literal : null, literals, names };
}

export function fillTemplate(template: Template, values: PlaceholderValues): string {
  if (template.text !== null) return template.text;
  let text = template.literals[0]!;
  for (let i = 0; i < template.names.length; i++) {
    const name = template.names[i]!;
    const value = name === "port" ? String(values.port) : values[name];
    assert(!/[\x00-\x08\x0a-\x1f\x7f]/.test(value), `{${name}} holds no control characters`);
    text += value + template.literals[i + 1]!;
  }
  return text;
}
