/**
 * Reads an event stream as it comes, in pieces of any size.
 *
 * Specification: WHATWG HTML, §9.2.5 and §9.2.6, followed to the letter: one BOM at the start is dropped; lines end with CRLF,
 * LF or CR; unknown fields and comments are passed over; an id with NUL is ignored; `retry` is digits or nothing; what is not
 * ended by an empty line is never dispatched. Bytes that are not UTF-8 become U+FFFD.
 *
 * Refuses to know connections and reconnecting: whoever has them keeps `lastEventId` and the time of `onRetry`.
 */

export interface StreamMessage {
  /** `message` unless the stream names one. */
  readonly type: string;
  readonly data: string;
  /** The last id that the stream gave, by this message or an earlier one. */
  readonly lastEventId: string;
}

export interface EventStreamSink {
  onMessage(message: StreamMessage): void;
  /** The stream wants to be reconnected to after so many ms. */
  onRetry?(ms: number): void;
  /** Without the colon. */
  onComment?(text: string): void;
}

const CR = 13;

export class EventStreamDecoder {
  readonly #unitsMax: number;
  readonly #utf8 = new TextDecoder("utf-8");
  #rest = "";
  /** The last character was a CR: an LF that follows belongs to it. */
  #afterCr = false;
  #data = "";
  #type = "";
  #id: string;
  #lastEventId: string;
  #overflowed = false;

  /**
   * `unitsMax`: UTF-16 units of one message, and of one line; a stream that holds more is read no further. `lastEventId` is
   * what an earlier connection's stream ended with.
   */
  constructor(unitsMax = 16 * 1024 * 1024, lastEventId = "") {
    this.#unitsMax = unitsMax;
    this.#id = lastEventId;
    this.#lastEventId = lastEventId;
  }

  /** What to ask to go on after, as of the last complete message. */
  get lastEventId(): string {
    return this.#lastEventId;
  }

  /** False when the stream holds a message that is too large, from there on. */
  write(bytes: Uint8Array, sink: EventStreamSink): boolean {
    if (this.#overflowed) return false;
    let text = this.#rest + this.#utf8.decode(bytes, { stream: true });
    if (this.#afterCr && text !== "") {
      this.#afterCr = false;
      if (text.startsWith("\n")) text = text.slice(1);
    }
    let at = 0;
    const ends = /\r\n|\n|\r/g;
    // What is left of earlier pieces holds no line end.
    ends.lastIndex = this.#rest.length;
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      this.#line(text.slice(at, end.index), sink);
      at = ends.lastIndex;
      if (at === text.length && text.charCodeAt(at - 1) === CR) this.#afterCr = true;
    }
    this.#rest = text.slice(at);
    this.#overflowed = this.#rest.length > this.#unitsMax || this.#data.length > this.#unitsMax;
    return !this.#overflowed;
  }

  #line(line: string, sink: EventStreamSink): void {
    if (line === "") {
      this.#dispatch(sink);
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) {
      sink.onComment?.(line.slice(1));
      return;
    }
    const name = colon < 0 ? line : line.slice(0, colon);
    const given = colon < 0 ? "" : line.slice(colon + 1);
    const value = given.startsWith(" ") ? given.slice(1) : given;
    if (name === "data") this.#data += `${value}\n`;
    else if (name === "event") this.#type = value;
    else if (name === "id") {
      if (!value.includes("\0")) this.#id = value;
    } else if (name === "retry" && /^[0-9]+$/.test(value)) sink.onRetry?.(Number(value));
  }

  #dispatch(sink: EventStreamSink): void {
    this.#lastEventId = this.#id;
    const type = this.#type;
    const data = this.#data;
    this.#type = "";
    this.#data = "";
    if (data === "") return;
    sink.onMessage({ type: type === "" ? "message" : type, data: data.slice(0, -1), lastEventId: this.#lastEventId });
  }
}
