/** Front door of `wire/fields`: what field values mean, in HTTP of any version. */
export { formatHttpDate, parseHttpDate } from "./date.ts";
export {
  FORWARDED_HOPS_MAX,
  type ForwardedClient,
  type ForwardedLists,
  forwardedClient,
  forwardedElement,
  forwardedHost,
  forwardedLists,
  forwardedRequestId,
} from "./forwarded.ts";
export { endToEndFields } from "./hops.ts";
export { field, joinedField } from "./list.ts";
export { readTrace, TraceSource, withoutTrace } from "./trace.ts";
