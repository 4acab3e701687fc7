/**
 * An event of a room as its readers get it: as an element of a poll's answer, or as a server-sent event. Made once for all who
 * read it in the same tick; readers with the same events in one tick share even the joined bytes.
 *
 * JSON has no bytes: binary arguments are `{ "$binary": "<base64>" }`. A name that cannot stand on a line of its own, or is of
 * this library's own, is an event `tideway:event` with its name as the first argument.
 */
import type { RoomEvent } from "@tideway/engine/hub";
import { encodeMessage, isEventName } from "@tideway/wire/eventstream";
import { ownPrefix } from "./requests.ts";

/** What hangs on an event until the tick ends. */
interface Forms {
  json: string | null;
  message: Buffer | null;
}

interface Parts {
  /** JSON of the name: a string, or a number. */
  readonly name: string;
  /** JSON of the array behind it. */
  readonly args: string;
}

export class RoomEncoder {
  #made: RoomEvent[] = [];
  #joined: { readonly events: readonly RoomEvent[]; readonly bytes: Buffer } | null = null;

  /** `{"offset":…,"event":…,"args":[…],"at":…}` */
  json(event: RoomEvent): string {
    const forms = this.#formsOf(event);
    if (forms.json !== null) return forms.json;
    const { name, args } = partsOf(event);
    forms.json = `{"offset":${JSON.stringify(event.offset)},"event":${name},"args":${args},"at":${event.at}}`;
    return forms.json;
  }

  /** Server-sent events, one behind the other. */
  messages(events: readonly RoomEvent[]): Buffer {
    const [only] = events;
    if (only !== undefined && events.length === 1) return this.#message(only);
    const last = this.#joined;
    if (last !== null && last.events.length === events.length && last.events.every((each, at) => each === events[at])) {
      return last.bytes;
    }
    const bytes = Buffer.concat(events.map((event) => this.#message(event)));
    this.#joined = { events, bytes };
    return bytes;
  }

  /** The tick has ended: nobody else will want them soon. */
  forget(): void {
    for (const event of this.#made) event.wire = null;
    this.#made = [];
    this.#joined = null;
  }

  #message(event: RoomEvent): Buffer {
    const forms = this.#formsOf(event);
    if (forms.message !== null) return forms.message;
    const { name: json, args } = partsOf(event);
    const name = json.startsWith('"') ? (JSON.parse(json) as string) : json;
    const id = event.offset === "" ? {} : { id: event.offset };
    const plain = isEventName(name) && name.isWellFormed() && !name.startsWith(ownPrefix);
    const text = plain
      ? encodeMessage({ ...id, event: name, data: args })
      : encodeMessage({
          ...id,
          event: `${ownPrefix}event`,
          data: args === "[]" ? `[${json}]` : `[${json},${args.slice(1)}`,
        });
    forms.message = Buffer.from(text, "utf8");
    return forms.message;
  }

  #formsOf(event: RoomEvent): Forms {
    if (event.wire !== null) return event.wire as Forms;
    const forms: Forms = { json: null, message: null };
    event.wire = forms;
    this.#made.push(event);
    return forms;
  }
}

const QUOTE = 34;
const BACKSLASH = 92;

/** The payload's array, cut behind its first element. Made by our own encoder, it has no white space. */
function partsOf({ payload: { json, attachments } }: RoomEvent): Parts {
  const text = attachments.length === 0 ? json : withBase64(json, attachments);
  const end = text.charCodeAt(1) === QUOTE ? endOfString(text) : endOfNumber(text);
  return { name: text.slice(1, end), args: text[end] === "," ? `[${text.slice(end + 1)}` : "[]" };
}

/** Index behind the string that begins at 1. */
function endOfString(text: string): number {
  for (let at = 2; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at++;
    else if (code === QUOTE) return at + 1;
  }
  return text.length;
}

function endOfNumber(text: string): number {
  const comma = text.indexOf(",");
  return comma < 0 ? text.length - 1 : comma;
}

function withBase64(json: string, attachments: readonly Uint8Array[]): string {
  return JSON.stringify(
    JSON.parse(json, (_key, value: unknown) => {
      if (typeof value !== "object" || value === null || !("_placeholder" in value) || !("num" in value)) return value;
      const bytes = attachments[value.num as number];
      if (bytes === undefined) return value;
      return { $binary: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64") };
    }),
  );
}
