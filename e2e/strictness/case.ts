/**
 * The shape of one case of strictness, and the few words that the tables are written in. A case is a byte string with
 * everything that may come of it: what the service behind the gateway sees, what the client hears, and whether the
 * connection goes on. Text stands for bytes, one character for one byte.
 */
import type { HttpFaultCode } from "@tideway/wire/http1";

/** A request as it must reach a service, without the lines that the gateway adds to every head (see `recorder.ts`). */
export interface Seen {
  readonly to: "web" | "admin";
  readonly text: string;
}

export interface Case {
  /** The number in the table of `packages/wire/http1/README.md`. */
  readonly rule: number;
  /** What the case is about; with the bytes it makes a test's message. */
  readonly family: string;
  readonly bytes: string;
  /** The client closes its side behind the bytes. */
  readonly fin: boolean;
  /** Requests that reach a service whole, in order; each is answered with 200. */
  readonly sees: readonly Seen[];
  /** The most that may be seen of a further request, which never becomes whole; empty: not a byte. */
  readonly partly: string;
  /** The gateway's own last answer, 0 for none, and the fault that it logs. */
  readonly status: number;
  readonly code: HttpFaultCode | "";
  /** The gateway closes the connection. */
  readonly closes: boolean;
  /** Why it is accepted, although nginx or HAProxy refuse it. */
  readonly because: string;
}

export const H = "Host: a.test\r\n";
/** Stands behind everything that is refused: if the gateway read on, or relayed what it did not understand, it would show. */
export const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";

export const line = (text: string): string => `${text}\r\n${H}\r\n`;
export const get = (fields: string): string => `GET / HTTP/1.1\r\n${H}${fields}\r\n`;
export const post = (fields: string, body = "hello"): string => `POST / HTTP/1.1\r\n${H}${fields}\r\n${body}`;

const plain = { fin: false, sees: [], partly: "", status: 0, code: "", closes: false, because: "" } as const;

/** Each is refused with `status` and the connection closed; of what follows nothing is read. */
export function refused(
  rule: number,
  status: number,
  code: HttpFaultCode,
  family: string,
  texts: readonly string[],
): Case[] {
  return texts.map((text) => ({ ...plain, rule, family, bytes: text + smuggled, status, code, closes: true }));
}

/** As `refused`, but the fault lies in the body, so that a service may have seen `partly` before. */
export function cut(
  rule: number,
  code: HttpFaultCode,
  family: string,
  texts: readonly (readonly [text: string, partly: string])[],
  status = 400,
): Case[] {
  return texts.map(([text, partly]) => ({
    ...plain,
    rule,
    family,
    bytes: text + smuggled,
    partly,
    status,
    code,
    closes: true,
  }));
}

export interface Terms {
  readonly because?: string;
  readonly closes?: boolean;
  readonly to?: "web" | "admin";
}

/** The bytes are taken, and reach the service as `seen`, or as each of `seen` in order. */
export function accepted(
  rule: number,
  family: string,
  bytes: string,
  seen: string | readonly string[],
  { because = "", closes = false, to = "web" }: Terms = {},
): Case {
  const texts = typeof seen === "string" ? [seen] : seen;
  return { ...plain, rule, family, bytes, sees: texts.map((text) => ({ to, text })), closes, because };
}

/** The client leaves in the middle. */
export function truncated(rule: number, family: string, bytes: string, partly: string): Case {
  return { ...plain, rule, family, bytes, fin: true, partly, closes: true };
}

/** Stands for the address of the service itself, whose port no table knows. */
export const ownHost = "the service's own";

/** A head as the gateway writes it to a service: `seen("GET /", ["x: 1"])`. */
export function seen(start: string, fields: readonly string[] = [], body = "", host = "a.test"): string {
  return `${[`${start} HTTP/1.1`, `host: ${host}`, ...fields].join("\r\n")}\r\n\r\n${body}`;
}

/** A case as a test's message shows it. */
export function show({ family, bytes }: Case): string {
  const text = bytes.endsWith(smuggled) ? bytes.slice(0, -smuggled.length) : bytes;
  return `${family}: ${JSON.stringify(text.length > 300 ? `${text.slice(0, 250)}… (${text.length})` : text)}`;
}
