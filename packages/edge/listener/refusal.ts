/**
 * The small answers that a listener gives by itself: a broken rule, a limit, a fault of a target. Always the last on
 * their connection.
 */
import { type AnswerErrorCode, type FieldList, type RequestHead, renderError } from "@tideway/base";
import { field } from "@tideway/wire/fields";
import { encodeResponseHead } from "@tideway/wire/http1";
import { isDated } from "./fields.ts";

/** What a client is refused for: a fault of `wire/http1`, or one of the limits below. */
export interface Refused {
  /** Stable: in logs and metrics. */
  readonly code: string;
  readonly status: number;
  readonly rule: number;
  /** For example "RFC 9112 §2.2". */
  readonly section: string;
  readonly message: string;
}

/** Limits that the bytes' grammar knows nothing of; their numbers go on where README.md of `wire/http1` ends. */
export const Limit = {
  headTime: refused("HEAD_TIMEOUT", 408, 19, "RFC 9110 §15.5.9", "the head did not come whole in time"),
  progress: refused("STALLED", 408, 20, "RFC 9110 §15.5.9", "the body came too slowly, or the answer was not read"),
  bodyBytes: refused("BODY_TOO_LARGE", 413, 21, "RFC 9110 §15.5.14", "the body is larger than this route takes"),
} as const;

function refused(code: string, status: number, rule: number, section: string, message: string): Refused {
  return Object.freeze({ code, status, rule, section, message });
}

const codes: Readonly<Record<number, AnswerErrorCode>> = {
  400: "HTTP_BAD_REQUEST",
  405: "HTTP_METHOD",
  408: "HTTP_TIMEOUT",
  413: "HTTP_TOO_LARGE",
  414: "HTTP_TARGET_TOO_LONG",
  429: "HTTP_CONNECTIONS",
  431: "HTTP_FIELDS_TOO_LARGE",
  500: "HTTP_INTERNAL",
  501: "HTTP_NOT_IMPLEMENTED",
  503: "HTTP_UNAVAILABLE",
  505: "HTTP_VERSION",
};

/** What is known of a request whose head could be read: an `HttpExchange` fits. */
export interface RefusedRequest {
  readonly head: RequestHead;
  refusalFields(status: number, fields: FieldList): FieldList;
}

/** Head and body as latin1 text. `request` is null when its head was refused; `detail` says why in a few words. */
export function refusal(
  status: number,
  request: RefusedRequest | null,
  id: string,
  detail: string,
  dateLine: string,
): string {
  const head = request?.head;
  const accept = head === undefined ? "" : (field(head.fields, "accept") ?? "");
  const answer = renderError(codes[status] ?? "HTTP_BAD_REQUEST", accept, detail, id);
  if (answer.status === 405) answer.fields.push("allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  const body = Buffer.from(answer.body, "utf8");
  const fields = request === null ? answer.fields : request.refusalFields(answer.status, answer.fields);
  const date = isDated(fields) ? "" : dateLine;
  const prepared = `${date}x-request-id: ${id}\r\nconnection: close\r\n`;
  const text = encodeResponseHead(answer.status, fields, body.length, prepared);
  return head?.method === "HEAD" ? text : text + body.toString("latin1");
}
