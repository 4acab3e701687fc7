/**
 * What each message of the hub's contract must look like when it comes from another process: exactly these fields, of
 * these types. A peer of another version, or garbage, is a fault value here and never a half-understood message.
 *
 * Owns the table; knows nothing of frames, sockets, or what the messages mean.
 */
import type { LinkMessage, ToHub, ToServer } from "./messages.ts";

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === "string";
const flag: Check = (value) => typeof value === "boolean";
const count: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const texts: Check = (value) => Array.isArray(value) && value.every(text);
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const oneOf =
  (...names: string[]): Check =>
  (value) =>
    typeof value === "string" && names.includes(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const recordOf =
  (check: Check): Check =>
  (value) =>
    isObject(value) && Object.values(value).every(check);

/** An object with exactly these fields. */
function shapeOf(fields: Record<string, Check>): Check {
  const entries = Object.entries(fields);
  return (value) => {
    if (!isObject(value) || Object.keys(value).length !== entries.length) return false;
    return entries.every(([name, check]) => Object.hasOwn(value, name) && check(value[name]));
  };
}

const transport = oneOf("polling", "websocket");
const reason = oneOf(
  "transport error",
  "transport close",
  "forced close",
  "ping timeout",
  "parse error",
  "server shutting down",
  "forced server close",
  "client namespace disconnect",
  "server namespace disconnect",
  "slow consumer",
);
const selector = shapeOf({ namespace: text, rooms: texts, except: texts });
const handshake = shapeOf({
  headers: recordOf((value) => text(value) || texts(value)),
  address: text,
  secure: flag,
  xdomain: flag,
  url: text,
  query: recordOf(text),
  issued: count,
});
const clientRequest = shapeOf({
  method: text,
  url: text,
  headers: recordOf((value) => text(value) || texts(value)),
  address: text,
  secure: flag,
  opens: flag,
  upgrade: flag,
});
const refusal = shapeOf({ code: count, name: text, message: text });
const foundSocket = shapeOf({ id: text, handshake, auth: text, rooms: texts, data: text });

/** The head's fields besides `type`; `payload` says that texts and binaries follow the head. */
interface MessageShape {
  readonly head: Check;
  readonly payload: boolean;
}

function message(fields: Record<string, Check>, payload = false): MessageShape {
  return { head: shapeOf({ type: text, ...fields }), payload };
}

export type MessageShapes<M extends LinkMessage> = ReadonlyMap<string, MessageShape> & { readonly of?: M };

function table<M extends LinkMessage>(shapes: Record<M["type"], MessageShape>): MessageShapes<M> {
  return new Map(Object.entries<MessageShape>(shapes));
}

export const toServerShapes = table<ToServer>({
  connect: message({
    socket: text,
    connection: text,
    transport,
    namespace: text,
    handshake,
    auth: text,
    recovered: flag,
    handover: flag,
    rooms: texts,
    data: text,
  }),
  event: message({ socket: text, seq: count, ack: orNull(count) }, true),
  "server-event": message({ namespace: text, ask: orNull(count) }, true),
  answer: message({ emit: count, socket: text }, true),
  answered: message({ emit: count, expected: count, missing: count }),
  disconnect: message({ socket: text, reason }),
  rooms: message({ socket: text, joined: texts, left: texts }),
  present: message({ namespace: text, room: text, members: texts }),
  presence: message({ namespace: text, room: text, member: text, here: flag, first: flag }),
  upgraded: message({ connection: text, transport }),
  "line-closed": message({ connection: text, reason }),
  request: message({ request: count, head: clientRequest }),
  "request-over": message({ request: count, connection: text }),
  "request-refused": message({ request: count, head: clientRequest, refusal }),
  published: message({ receipt: count, offset: text, seq: count, duplicate: flag }),
  unpublished: message({ receipt: count, code: oneOf("STORE_FULL", "STORE_FAILED", "TOO_LARGE") }),
  found: message({ request: count, sockets: listOf(foundSocket) }),
  place: message({ request: count, offset: text }),
  permit: message({
    ask: count,
    namespace: text,
    room: text,
    action: oneOf("read", "publish"),
    event: text,
    handshake,
  }),
});

export const toHubShapes = table<ToHub>({
  hello: message({ instance: text }),
  door: message({ asks: flag, hears: flag, wishes: text }),
  verdict: message(
    {
      request: count,
      outcome: oneOf("pass", "forbid", "answer"),
      status: count,
      message: text,
      session: text,
      origin: flag,
      fields: texts,
      granted: texts,
    },
    true,
  ),
  accept: message({ socket: text }),
  refuse: message({ socket: text, message: text, data: text }),
  emit: message(
    {
      to: selector,
      volatile: flag,
      compress: flag,
      answers: orNull(count),
      timeoutMs: count,
      receipt: orNull(count),
      key: orNull(text),
    },
    true,
  ),
  "server-emit": message({ namespace: text, answers: orNull(count), timeoutMs: count }, true),
  "server-reply": message({ ask: count }, true),
  reply: message({ socket: text, ack: count }, true),
  join: message({ to: selector, rooms: texts }),
  leave: message({ to: selector, rooms: texts }),
  close: message({ to: selector, connection: flag }),
  "close-line": message({ connection: text }),
  expel: message({ to: selector }),
  watch: message({ namespace: text, room: text, by: text, graceMs: count, members: texts }),
  unwatch: message({ namespace: text, room: text }),
  find: message({ request: count, to: selector }),
  where: message({ request: count, namespace: text }),
  open: message({ namespace: text, rooms: flag, recall: flag }),
  permitted: message({ ask: count, allowed: flag, forAll: flag }),
  data: message({ socket: text, data: text }),
  done: message({ seq: count }),
  leaving: message({}),
});
