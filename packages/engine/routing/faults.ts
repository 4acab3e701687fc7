/** What is wrong with a configuration's routes: one coded fault per finding, with the place and a way out. */

export const RouteFaultCode = {
  badHost: "BAD_HOST",
  duplicateHost: "DUPLICATE_HOST",
  unknownPort: "UNKNOWN_PORT",
  emptySite: "EMPTY_SITE",
  badPath: "BAD_PATH",
  duplicatePath: "DUPLICATE_PATH",
  emptyPath: "EMPTY_PATH",
  unknownService: "UNKNOWN_SERVICE",
  noService: "NO_SERVICE",
  twoAnswers: "TWO_ANSWERS",
  unreachableRoute: "UNREACHABLE_ROUTE",
  badRewrite: "BAD_REWRITE",
  badCondition: "BAD_CONDITION",
  badMethod: "BAD_METHOD",
  badPattern: "BAD_PATTERN",
  badFieldName: "BAD_FIELD_NAME",
  reservedField: "RESERVED_FIELD",
  badFieldValue: "BAD_FIELD_VALUE",
  duplicateField: "DUPLICATE_FIELD",
  unknownPlaceholder: "UNKNOWN_PLACEHOLDER",
  badTemplate: "BAD_TEMPLATE",
} as const;
export type RouteFaultCode = (typeof RouteFaultCode)[keyof typeof RouteFaultCode];

/** Keys from the configuration's root: `["sites", "www.abc.test", "/db", 0, "when"]`. */
export type Place = readonly (string | number)[];

export interface RouteFault {
  readonly code: RouteFaultCode;
  readonly place: Place;
  readonly seen: string;
  readonly allowed: string;
  readonly hint: string;
}

export function list(names: readonly string[]): string {
  return names.length === 0 ? "there are none" : names.join(", ");
}

/** A value of the configuration in one line. */
export function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** RFC 9110 §5.6.2: what names of methods and fields are made of. */
export function isToken(text: string): boolean {
  return tokenPattern.test(text);
}
