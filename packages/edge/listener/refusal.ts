/**
 * The small answers that a listener gives by itself: a broken rule, a limit, a fault of a target. Always the last on
 * their connection.
 */
import { type AnswerErrorCode, type RequestHead, renderError } from "@tideway/base";
import { field } from "@tideway/wire/fields";
import { encodeResponseHead } from "@tideway/wire/http1";

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

/** Head and body as latin1 text. `head` is null when the request's own was refused; `detail` says why in a few words. */
export function refusal(
  status: number,
  head: RequestHead | null,
  id: string,
  detail: string,
  dateLine: string,
): string {
  const accept = head === null ? "" : (field(head.fields, "accept") ?? "");
  const answer = renderError(codes[status] ?? "HTTP_BAD_REQUEST", accept, detail, id);
  if (answer.status === 405) answer.fields.push("allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  const body = Buffer.from(answer.body, "utf8");
  const prepared = `${dateLine}x-request-id: ${id}\r\nconnection: close\r\n`;
  const text = encodeResponseHead(answer.status, answer.fields, body.length, prepared);
  return head?.method === "HEAD" ? text : text + body.toString("latin1");
}
