/**
 * Owns the `Location` of a redirect, written with placeholders (RFC 9110 §10.2.2).
 */
import { type Place, quoted, type RouteFault, RouteFaultCode } from "./faults.ts";
import { compileTemplate, fillTemplate, type PlaceholderValues, type Template } from "./template.ts";

export type CompiledLocation =
  | {
      readonly ok: true;
      /** True when it says the same to every request: `fill` needs no values then. */
      readonly fixed: boolean;
      fill(values: PlaceholderValues): string;
    }
  | { readonly ok: false; readonly faults: readonly RouteFault[] };

/**
 * `https://{host}{path}`. Where `{query}` is not written, `{path}` stands for path and query: a redirect that loses the
 * query is rarely meant. A location that begins with the request's path stays on this host, whatever the path: `//else.test`
 * would be another host's address (RFC 3986 §4.2), and browsers read a backslash as a slash.
 */
export function compileLocation(source: string, place: Place): CompiledLocation {
  const faults: RouteFault[] = [];
  if (source === "" || !/^[\x21-\x7e]*$/.test(source)) {
    const allowed = "an address in printable ASCII without spaces";
    const hint = "percent-encode what is not";
    faults.push({ code: RouteFaultCode.badFieldValue, place, seen: quoted(source), allowed, hint });
  }
  const template = compileTemplate(source, place, faults);
  if (template === null || faults.length > 0) return { ok: false, faults };
  const withQuery = !template.names.includes("query");
  const beginsWithPath = template.literals[0] === "" && template.names[0] === "path";
  const fill = (values: PlaceholderValues): string => fillLocation(template, values, withQuery, beginsWithPath);
  return { ok: true, fixed: template.text !== null, fill };
}

function fillLocation(
  template: Template,
  values: PlaceholderValues,
  withQuery: boolean,
  beginsWithPath: boolean,
): string {
  if (template.text !== null) return template.text;
  const filled = fillTemplate(template, withQuery ? { ...values, path: values.path + values.query } : values);
  return beginsWithPath ? filled.replace(/^[/\\]{2,}/, "/") : filled;
}
