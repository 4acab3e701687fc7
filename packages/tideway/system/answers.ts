/**
 * Targets that need no other room: fixed answers, redirects, and the answer where there is no site or no path.
 * Each answers at once and lets the listener drain whatever body the client sends.
 */
import {
  type AnswerErrorCode,
  type Exchange,
  type ExchangeHandler,
  type FieldList,
  renderError,
  type Target,
} from "@tideway/base";
import { type CompiledLocation, placeholderValues, type RouteMiss } from "@tideway/engine/routing";
import { field } from "@tideway/wire/fields";

/** For a target that has said all it has to say. */
const finished: ExchangeHandler = {
  onBody() {},
  onBodyEnd() {},
  onDrain() {},
  onClose() {},
};

function answer(exchange: Exchange, status: number, fields: FieldList, body: Uint8Array): void {
  exchange.accept(finished);
  exchange.respond(status, fields, body.length);
  if (exchange.head.method !== "HEAD" && body.length > 0) exchange.write(body);
  exchange.end();
}

/** Answers with an error of the registry, in the form that the client accepts; `retryAfter` as for `renderError`. */
export function answerError(
  exchange: Exchange,
  code: AnswerErrorCode,
  detail = "",
  besides: FieldList = [],
  retryAfter?: number,
): void {
  exchange.reason = code;
  const accept = field(exchange.head.fields, "accept") ?? "";
  const { status, fields, body } = renderError(code, accept, detail, exchange.id, retryAfter);
  answer(exchange, status, [...fields, ...besides], Buffer.from(body));
}

/** Where no route takes the request: no site, no path, or the wrong method, which `Allow` mends (RFC 9110 §15.5.6). */
export function answerMiss(exchange: Exchange, { code, allow }: RouteMiss): void {
  answerError(exchange, code, "", allow.length === 0 ? [] : ["allow", allow.join(", ")]);
}

export function fixedAnswer(
  service: string,
  options: { status: number; body: string; type: string },
  besides: FieldList = [],
): Target {
  const body = Buffer.from(options.body);
  const fields = ["content-type", options.type, ...besides];
  return {
    handle(exchange) {
      exchange.service = service;
      answer(exchange, options.status, fields, body);
    },
  };
}

export function redirect(service: string, location: Extract<CompiledLocation, { ok: true }>, status: number): Target {
  return {
    handle(exchange) {
      exchange.service = service;
      const to = location.fill(placeholderValues(exchange, service));
      const fields = ["location", to, "content-type", "text/plain; charset=utf-8"];
      answer(exchange, status, fields, Buffer.from(`See ${to}\n`));
    },
  };
}
