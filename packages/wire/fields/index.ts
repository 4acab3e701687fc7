/** Front door of `wire/fields`: what field values mean, in HTTP of any version. */
export { formatHttpDate, parseHttpDate } from "./date.ts";
export { endToEndFields } from "./hops.ts";
export { field, joinedField } from "./list.ts";
