/**
 * What requests to rooms over plain HTTP say: path, query, fields and the body of a publish. Bytes and texts in, values or
 * faults out; answers nothing. A fault's text names the place and what is allowed, and nothing of what is here.
 */
import { isUtf8 } from "node:buffer";
import type { Exchange } from "@tideway/base";
import type { Payload } from "@tideway/engine/hub";
import { depthMax, encodeArguments, isTooDeep, reservedEvents } from "@tideway/wire/socketio";
import { fieldOf } from "../request.ts";

/** Events of this library's own begin with it, and nobody else's do. */
export const ownPrefix = "tideway:";

export const Wanted = {
  /** What is there now. */
  poll: "poll",
  /** The same, or the first event that comes. */
  longPoll: "longpoll",
  /** Server-sent events. */
  stream: "sse",
} as const;
export type Wanted = (typeof Wanted)[keyof typeof Wanted];

/** Which events of a room a client wants. */
export interface ReadRequest {
  readonly wanted: Wanted;
  /** As for `RoomsPort.begin`. */
  readonly after: string | null;
  readonly waitMs: number;
  readonly eventsMax: number;
}

export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: string };

const roomLengthMax = 512;
const namespaceLengthMax = 512;
const eventLengthMax = 512;
const keyLengthMax = 255;
const waitSecondsMax = 60;

/** The room's name as the path has it, still encoded; null for a path that is no room's. */
export function roomInPath(path: string, own: string): string | null {
  const prefix = `${own}/rooms/`;
  if (!path.startsWith(prefix)) return null;
  const end = path.indexOf("/", prefix.length);
  const rest = path.slice(end);
  return end > prefix.length && (rest === "/events" || rest === "/events/") ? path.slice(prefix.length, end) : null;
}

export function readRoom(encoded: string): Read<string> {
  let room: string;
  try {
    room = decodeURIComponent(encoded);
  } catch {
    return fault("room: percent-encoded UTF-8");
  }
  return room.length <= roomLengthMax ? { ok: true, value: room } : fault(`room: at most ${roomLengthMax} characters`);
}

export function readNamespace(query: ReadonlyMap<string, string>): Read<string> {
  const given = query.get("nsp") ?? "/";
  const namespace = given.startsWith("/") ? given : `/${given}`;
  if (namespace.length > namespaceLengthMax || /[\0-\x1f,]/.test(namespace)) {
    return fault(`nsp: a namespace's name, at most ${namespaceLengthMax} characters`);
  }
  return { ok: true, value: namespace };
}

export function readRead(
  exchange: Exchange,
  query: ReadonlyMap<string, string>,
  pollEventsMax: number,
): Read<ReadRequest> {
  const streams = exchange.head.method === "GET" && acceptsEventStream(fieldOf(exchange, "accept") ?? "");
  const after = query.get("after") ?? null;
  if (after !== null && after !== "0" && !isOffset(after)) return fault("after: 0, or an offset as it was given");
  const wait = query.get("wait") ?? "0";
  if (!/^[0-9]{1,9}$/.test(wait)) return fault(`wait: whole seconds, at most ${waitSecondsMax}`);
  const limit = query.get("limit") ?? String(pollEventsMax);
  if (!/^[1-9][0-9]{0,8}$/.test(limit)) return fault(`limit: a whole number from 1, at most ${pollEventsMax}`);
  // What a stream ended with is nearer than what its address says, which stays the same on every reconnect.
  const lastEventId = streams ? (fieldOf(exchange, "last-event-id") ?? "") : "";
  const waitMs = streams || exchange.head.method === "HEAD" ? 0 : Math.min(Number(wait), waitSecondsMax) * 1000;
  const value: ReadRequest = {
    wanted: streams ? Wanted.stream : waitMs > 0 ? Wanted.longPoll : Wanted.poll,
    after: lastEventId === "" ? after : lastEventId,
    waitMs,
    eventsMax: Math.min(Number(limit), pollEventsMax),
  };
  return { ok: true, value };
}

/** Null without a key. */
export function readKey(exchange: Exchange): Read<string | null> {
  const key = fieldOf(exchange, "idempotency-key");
  if (key === undefined) return { ok: true, value: null };
  const fits = key !== "" && key.length <= keyLengthMax && /^[\x20-\x7e]+$/.test(key);
  return fits
    ? { ok: true, value: key }
    : fault(`Idempotency-Key: 1 to ${keyLengthMax} characters of ASCII, such as a UUID`);
}

export function isJson(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(contentType);
}

export interface Publish {
  readonly event: string;
  readonly payload: Payload;
}

/** `{ "event": "said", "args": […] }`, and nothing else. Objects `{ "$binary": "…" }` in the arguments are bytes in base64. */
export function readPublish(body: Buffer): Read<Publish> {
  if (!isUtf8(body)) return fault("body: UTF-8");
  const text = body.toString("utf8");
  if (isTooDeep(text)) return fault(`body: nested no deeper than ${depthMax} levels`);
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return fault("body: JSON");
  }
  if (typeof given !== "object" || given === null || Array.isArray(given)) return fault("body: a JSON object");
  const strange = Object.keys(given).find((name) => name !== "event" && name !== "args");
  if (strange !== undefined) return fault("body: event and args, and nothing else");
  const { event, args = [] } = given as { event?: unknown; args?: unknown };
  if (typeof event !== "string" || event === "" || event.length > eventLengthMax || !event.isWellFormed()) {
    return fault(`event: a text of 1 to ${eventLengthMax} characters`);
  }
  if (reservedEvents.has(event) || event.startsWith(ownPrefix)) {
    return fault(`event: none of ${[...reservedEvents].join(", ")}, and not beginning with ${ownPrefix}`);
  }
  if (!Array.isArray(args)) return fault("args: an array");
  const faults: string[] = [];
  const read = withBytes(args, "args", faults);
  if (faults.length > 0) return fault(faults[0]!);
  return { ok: true, value: { event, payload: encodeArguments([event, ...(read as unknown[])]) } };
}

/** A copy in which bytes are bytes. Depth is bounded by the caller. */
function withBytes(value: unknown, place: string, faults: string[]): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) faults.push(`${place}: a number that fits 64 bits`);
  if (typeof value !== "object" || value === null || faults.length > 0) return value;
  if (Array.isArray(value)) return value.map((item, index) => withBytes(item, `${place}[${index}]`, faults));
  const entries = Object.entries(value);
  const [first] = entries;
  if (entries.length === 1 && first?.[0] === "$binary") {
    const bytes = bytesOf(first[1]);
    if (bytes === null) faults.push(`${place}.$binary: base64`);
    return bytes;
  }
  // Socket.IO's own sign for bytes: a client would look for bytes that are not there.
  if (Object.hasOwn(value, "_placeholder")) faults.push(`${place}: no member _placeholder`);
  // Without a prototype, so that a key `__proto__` is data like any other.
  const copy: Record<string, unknown> = Object.create(null);
  for (const [name, member] of entries) copy[name] = withBytes(member, `${place}.…`, faults);
  return copy;
}

/** Null for what is not exactly base64. */
function bytesOf(text: unknown): Buffer | null {
  if (typeof text !== "string") return null;
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : null;
}

/** What an offset can look like: the hub says whether it is one of its own. */
function isOffset(text: string): boolean {
  return /^[\w-]{1,48}\.[0-9a-z]{1,11}$/.test(text);
}

/** Whether the media type is named, and not with a weight of nothing: nobody who accepts anything wants a stream. */
function acceptsEventStream(accept: string): boolean {
  return accept.split(",").some((range) => {
    const [type, ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    return type === "text/event-stream" && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
  });
}

function fault(text: string): { readonly ok: false; readonly fault: string } {
  return { ok: false, fault: text };
}
