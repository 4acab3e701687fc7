/**
 * Server-sent events as text: `field: value` lines, each message ended by an empty line.
 *
 * Specification: WHATWG HTML, §9.2.5 "Parsing an event stream" and §9.2.6 "Interpreting an event stream". Lines end with LF
 * alone, and every value has one space before it, which readers drop: so that a value may begin with a space of its own.
 *
 * Invariant: what is made here is read back by any reader of the specification as it was given, whatever the data hold; line
 * ends in data come back as LF. What a field cannot hold throws: there the fault is the caller's own.
 */

export interface MessageParts {
  /** Sets the reader's last event id; left out, that stays as it is. */
  readonly id?: string;
  /** The message's type; left out or empty, readers take it for `message`. */
  readonly event?: string;
  readonly data: string;
}

const lineEnd = /\r\n|\r|\n/;

/** Whether a text can be a message's type: it stands on one line, and is not empty. */
export function isEventName(text: string): boolean {
  return text !== "" && !/[\r\n]/.test(text);
}

/** One message. Its data may have any number of lines. */
export function encodeMessage({ id, event, data }: MessageParts): string {
  let text = id === undefined ? "" : idLine(id);
  if (event !== undefined && event !== "") {
    if (!isEventName(event)) throw new RangeError("the type of a server-sent event holds a line end");
    text += `event: ${event}\n`;
  }
  // The common case, JSON, has one line.
  if (!data.includes("\n") && !data.includes("\r")) return `${text}data: ${data}\n\n`;
  for (const line of data.split(lineEnd)) text += `data: ${line}\n`;
  return `${text}\n`;
}

/** Sets the reader's last event id and dispatches nothing: a message without data. */
export function encodePlace(id: string): string {
  return `${idLine(id)}\n`;
}

/** How long the reader waits before it connects again, in whole milliseconds. */
export function encodeRetry(ms: number): string {
  if (!Number.isSafeInteger(ms) || ms < 0) throw new RangeError(`not a whole number of milliseconds: ${ms}`);
  return `retry: ${ms}\n\n`;
}

/** What readers pass over; keeps a connection alive. */
export function encodeComment(text = ""): string {
  return `${text
    .split(lineEnd)
    .map((line) => (line === "" ? ":\n" : `: ${line}\n`))
    .join("")}\n`;
}

function idLine(id: string): string {
  // A reader ignores an id with NUL, and would go on from an older one.
  if (/[\0\r\n]/.test(id)) throw new RangeError("the id of a server-sent event holds NUL or a line end");
  return `id: ${id}\n`;
}
