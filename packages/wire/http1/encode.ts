/**
 * Values to bytes (RFC 9112): heads and chunk framing as latin1 text, for a caller that joins and writes them. Nothing
 * that was not checked goes out: a CR, LF, NUL or a character beyond latin1 in a name, value or target is a fault of
 * ours, for decoders let none through, so it is asserted (rule 14). Framing fields are set here and nowhere else.
 */
import { assert, type FieldList } from "@tideway/base";
import { inOnePiece, isToken } from "./bytes.ts";
import { Framing } from "./framing.ts";
import { isKnownName } from "./names.ts";

const reasons: Readonly<Record<number, string>> = {
  100: "Continue",
  101: "Switching Protocols",
  102: "Processing",
  103: "Early Hints",
  200: "OK",
  201: "Created",
  202: "Accepted",
  203: "Non-Authoritative Information",
  204: "No Content",
  205: "Reset Content",
  206: "Partial Content",
  207: "Multi-Status",
  208: "Already Reported",
  226: "IM Used",
  300: "Multiple Choices",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  407: "Proxy Authentication Required",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  417: "Expectation Failed",
  418: "I'm a teapot",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  423: "Locked",
  424: "Failed Dependency",
  425: "Too Early",
  426: "Upgrade Required",
  428: "Precondition Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  506: "Variant Also Negotiates",
  507: "Insufficient Storage",
  508: "Loop Detected",
  511: "Network Authentication Required",
};

const statusLines: readonly string[] = Array.from({ length: 600 }, (_, status) =>
  status < 100 ? "" : `HTTP/1.1 ${status} ${reasons[status] ?? ""}\r\n`,
);

/** Anything that may not stand in a field value: control characters but TAB, and what latin1 would cut off. */
const unsafeValue = /[^\t\x20-\x7e\x80-\xff]/;
const unsafeTarget = /[^\x21-\x7e]/;

const methods: ReadonlySet<string> = new Set("GET HEAD POST PUT PATCH DELETE OPTIONS".split(" "));
/** The last target that was found good: often it is the next one too. */
let goodTarget = "/";

function assertTarget(target: string): void {
  if (target === goodTarget) return;
  assert(target !== "" && !unsafeTarget.test(target), "a target holds visible ASCII only");
  goodTarget = target;
}

/**
 * A request's head. `prepared` holds further lines, each ended by CRLF, that the caller vouches for; `leading` the same, before all
 * others, for `host` stands first.
 */
export function encodeRequestHead(
  method: string,
  target: string,
  fields: FieldList,
  framing: number,
  prepared = "",
  leading = "",
): string {
  assert(methods.has(method) || isToken(method), "a method is a token");
  assertTarget(target);
  return `${method} ${target} HTTP/1.1\r\n${leading}${encodeFieldLines(fields)}${framingLine(framing)}${prepared}\r\n`;
}

/**
 * A response's head, final or interim. `prepared` and `own` together are further lines, each ended by CRLF, that the caller
 * vouches for. Of a list that was written once, all but `own` is kept for the next head with the same.
 */
export function encodeResponseHead(
  status: number,
  fields: FieldList,
  framing: number,
  prepared = "",
  own = "",
): string {
  const once = (fields as Keeper)[written];
  if (once === undefined) return `${responseFront(status, fields, framing, prepared)}${own}\r\n`;
  if (once.status !== status || once.framing !== framing || once.prepared !== prepared) {
    once.front = inOnePiece(responseFront(status, fields, framing, prepared));
    once.status = status;
    once.framing = framing;
    once.prepared = prepared;
  }
  return `${once.front}${own}\r\n`;
}

function responseFront(status: number, fields: FieldList, framing: number, prepared: string): string {
  const line = statusLines[status];
  assert(line !== undefined && line !== "", "a status is between 100 and 599");
  return `${line}${encodeFieldLines(fields)}${framingLine(framing)}${prepared}`;
}

/** The lines of a list that was written once; see {@link writeOnce}. */
export interface WrittenFields {
  readonly lines: string;
  /** There is a `date` among them. */
  readonly dated: boolean;
}

/** With the last head that was encoded with it, up to what was that one's own. */
interface Written extends WrittenFields {
  status: number;
  framing: number;
  prepared: string;
  front: string;
}

const written = Symbol("written");
type Keeper = FieldList & { readonly [written]?: Written };

/** What the layer that sends a head sets itself. */
const setBySender = "connection keep-alive proxy-connection x-request-id".split(" ");

/**
 * Writes the lines of a list that is sent many times, and freezes it: whoever encodes it takes them as they are. It must
 * hold no field that the sender of a message sets itself: framing, `connection` and its kin, `x-request-id`.
 */
export function writeOnce(fields: FieldList): FieldList {
  for (const name of setBySender) assert(!fieldNamed(fields, name), `${name} is set by who sends the message`);
  const value: Written = {
    lines: encodeFieldLines(fields),
    dated: fieldNamed(fields, "date"),
    status: 0,
    framing: 0,
    prepared: "",
    front: "",
  };
  return Object.freeze(Object.defineProperty(fields, written, { value })) as FieldList;
}

/** What {@link writeOnce} made of the list; undefined for any other. */
export function writtenOnce(fields: FieldList): WrittenFields | undefined {
  return (fields as Keeper)[written];
}

function fieldNamed(fields: FieldList, name: string): boolean {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return true;
  return false;
}

function framingLine(framing: number): string {
  if (framing >= 0) {
    assert(Number.isSafeInteger(framing), "a length is a whole number");
    return `content-length: ${framing}\r\n`;
  }
  return framing === Framing.chunked ? "transfer-encoding: chunked\r\n" : "";
}

/** Field lines, each ended by CRLF. */
export function encodeFieldLines(fields: FieldList): string {
  const once = writtenOnce(fields);
  if (once !== undefined) return once.lines;
  let lines = "";
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    const value = fields[i + 1]!;
    assert(isKnownName(name) || isToken(name), "a field's name is a token");
    assert(name !== "content-length" && name !== "transfer-encoding", "framing fields are set by the encoder");
    assert(!unsafeValue.test(value), "a field's value holds no line end, control character or character beyond latin1");
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

/** The line before a chunk's data; the data is followed by {@link chunkEnd}. An empty chunk would end the body. */
export function encodeChunkHead(length: number): string {
  assert(length > 0, "a chunk holds at least one byte");
  return `${length.toString(16)}\r\n`;
}

export const chunkEnd = "\r\n";

/** The end of a chunked body, with its trailers. */
export function encodeLastChunk(trailers?: FieldList): string {
  return trailers === undefined || trailers.length === 0 ? "0\r\n\r\n" : `0\r\n${encodeFieldLines(trailers)}\r\n`;
}
