/**
 * The arguments of events and answers: JSON text with placeholders for binary data, and the binaries beside it.
 *
 * Follows socket.io-parser 4.2 (`binary.ts`, `is-binary.ts`), and differs where it is unsafe: nesting is bounded, a
 * placeholder may not name an attachment twice, and a key `__proto__` is data like any other. Parsing never throws;
 * encoding throws on what JSON cannot say (a cycle, a BigInt), because there the fault is the caller's own.
 */
import { type Fault, faults } from "./faults.ts";

/** Names that mean something to the library's own emitters and are refused as events, from both sides. */
export const reservedEvents: ReadonlySet<string> = new Set([
  "connect",
  "connect_error",
  "disconnect",
  "disconnecting",
  "newListener",
  "removeListener",
]);

/** Levels of arrays and objects, counting the array of arguments. Deeper values overflow the stack of their readers. */
export const depthMax = 1000;

export type ParsedArguments =
  | { readonly ok: true; readonly args: unknown[] }
  | { readonly ok: false; readonly fault: Fault };

export interface EncodedArguments {
  readonly json: string;
  readonly attachments: Uint8Array[];
}

/**
 * Parses the JSON text of arguments and puts the attachments in their places. An event's first argument must be its
 * name: a number, or a string that is not reserved. An answer's may be anything. Placeholders are looked for only when
 * there are attachments: without them an object of that shape is the user's own.
 */
export function parseArguments(
  json: string,
  attachments: readonly Uint8Array[],
  role: "event" | "answer" = "event",
): ParsedArguments {
  if (isTooDeep(json)) return faults.depth;
  let args: unknown;
  try {
    args = JSON.parse(json);
  } catch {
    return faults.json;
  }
  if (!Array.isArray(args)) return faults.data;
  if (role === "event") {
    const name: unknown = args[0];
    if (typeof name === "string" ? reservedEvents.has(name) : typeof name !== "number") return faults.event;
  }
  if (attachments.length > 0 && !fillPlaceholders(args, attachments)) return faults.placeholder;
  return { ok: true, args };
}

/** The arguments as JSON text, with what is binary (Buffer, ArrayBuffer, views; at any depth) taken out beside it. */
export function encodeArguments(args: readonly unknown[]): EncodedArguments {
  const attachments: Uint8Array[] = [];
  const plain = hasBinary(args, false, 0) ? takeBinary(args, attachments, false, 0) : args;
  return { json: JSON.stringify(plain), attachments };
}

const BACKSLASH = 92;
const QUOTE = 34;

/** Whether arrays and objects are nested deeper than {@link depthMax}. Scans without a stack, before anything is built. */
export function isTooDeep(json: string): boolean {
  // Every level costs an opening and a closing character, so short texts need no look.
  if (json.length <= depthMax * 2) return false;
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    switch (json.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(json, at);
        break;
      case 91: // [
      case 123: // {
        if (++depth > depthMax) return true;
        break;
      case 93: // ]
      case 125: // }
        depth--;
    }
  }
  return false;
}

/** Index of the quote that closes the string opened at `from`, or the text's length. */
function endOfString(json: string, from: number): number {
  let at = from + 1;
  for (;;) {
    at = json.indexOf('"', at);
    if (at < 0) return json.length;
    let backslashes = 0;
    while (json.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at;
    at++;
  }
}

type Container = Record<string | number, unknown>;

/** Replaces placeholders in place, with a stack of its own; false when one names no attachment or one already used. */
function fillPlaceholders(args: unknown[], attachments: readonly Uint8Array[]): boolean {
  const used = new Array<boolean>(attachments.length).fill(false);
  const open: Container[] = [args as unknown as Container];
  for (let container = open.pop(); container !== undefined; container = open.pop()) {
    // Own keys only, and every assignment goes to a property that JSON.parse made: `__proto__` stays plain data.
    for (const key of Object.keys(container)) {
      const value: unknown = container[key];
      if (typeof value !== "object" || value === null) continue;
      if ((value as Container)["_placeholder"] !== true) {
        open.push(value as Container);
        continue;
      }
      const num = (value as Container)["num"];
      if (typeof num !== "number" || used[num] !== false) return false;
      used[num] = true;
      container[key] = attachments[num];
    }
  }
  return true;
}

function isBinary(value: object): value is ArrayBuffer | ArrayBufferView {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
}

function toBytes(value: ArrayBuffer | ArrayBufferView): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

function assertDepth(depth: number): void {
  if (depth >= depthMax) throw new RangeError(`arguments are circular or nested deeper than ${depthMax} levels`);
}

function jsonMethod(value: object): (() => unknown) | null {
  const method = (value as { toJSON?: unknown }).toJSON;
  return typeof method === "function" ? () => method.call(value) : null;
}

/** `resolved`: the value came out of `toJSON`, which is not asked a second time. */
function hasBinary(value: unknown, resolved: boolean, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (isBinary(value)) return true;
  assertDepth(depth);
  if (Array.isArray(value)) {
    for (const item of value) if (hasBinary(item, false, depth + 1)) return true;
    return false;
  }
  if (value instanceof Date) return false;
  const toJson = resolved ? null : jsonMethod(value);
  if (toJson !== null) return hasBinary(toJson(), true, depth + 1);
  for (const key of Object.keys(value)) if (hasBinary((value as Container)[key], false, depth + 1)) return true;
  return false;
}

function takeBinary(value: unknown, attachments: Uint8Array[], resolved: boolean, depth: number): unknown {
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  if (isBinary(value)) {
    attachments.push(toBytes(value));
    return { _placeholder: true, num: attachments.length - 1 };
  }
  assertDepth(depth);
  if (Array.isArray(value)) return value.map((item) => takeBinary(item, attachments, false, depth + 1));
  const toJson = resolved ? null : jsonMethod(value);
  if (toJson !== null) return takeBinary(toJson(), attachments, true, depth + 1);
  // Without a prototype, so that a key `__proto__` is copied and not obeyed.
  const copy: Container = Object.create(null);
  for (const key of Object.keys(value))
    copy[key] = takeBinary((value as Container)[key], attachments, false, depth + 1);
  return copy;
}
