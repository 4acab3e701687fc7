/** Answers to requests to rooms: their fields, and errors as the whole system says them. */
import { type AnswerErrorCode, type Exchange, type FieldList, renderError } from "@tideway/base";
import { fieldOf } from "../request.ts";

export const jsonFields = Object.freeze([
  "content-type",
  "application/json; charset=utf-8",
  "cache-control",
  "no-store",
  "x-content-type-options",
  "nosniff",
]);

/** Answers an exchange that has its handler. */
export function answer(exchange: Exchange, status: number, fields: FieldList, content: string | Uint8Array): number {
  const body = typeof content === "string" ? Buffer.from(content, "utf8") : content;
  exchange.respond(status, fields, body.length);
  if (body.length > 0 && exchange.head.method !== "HEAD") exchange.write(body);
  exchange.end();
  return body.length;
}

/** The same with an error. `more` are fields besides its own. */
export function answerError(exchange: Exchange, code: AnswerErrorCode, more: FieldList, detail = ""): void {
  const { status, fields, body } = renderError(code, fieldOf(exchange, "accept") ?? "", detail, exchange.id);
  const own = more.includes("retry-after") ? without(fields, "retry-after") : fields;
  answer(exchange, status, [...own, ...more], body);
}

/** For a request whose body and end are of no interest. */
export const unheard = Object.freeze({ onBody() {}, onBodyEnd() {}, onDrain() {}, onClose() {} });

/** Takes an exchange and answers it with an error at once. */
export function refuseWith(exchange: Exchange, code: AnswerErrorCode, more: FieldList = [], detail = ""): void {
  exchange.accept(unheard);
  answerError(exchange, code, more, detail);
}

function without(fields: FieldList, name: string): FieldList {
  const at = fields.indexOf(name);
  return at < 0 ? fields : [...fields.slice(0, at), ...fields.slice(at + 2)];
}
