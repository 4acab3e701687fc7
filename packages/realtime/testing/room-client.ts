/** For tests: a client of one room over plain HTTP, with `fetch` and the text of server-sent events. */
import { EventStreamDecoder, type StreamMessage } from "@tideway/wire/eventstream";

export interface Polled {
  readonly events: readonly { readonly offset: string; readonly event: string; readonly args: unknown[] }[];
  readonly next: string;
  readonly gap: boolean;
}

export class RoomClient {
  readonly url: string;
  readonly #headers: Record<string, string>;

  constructor(origin: string, room: string, headers: Record<string, string> = {}) {
    this.url = `${origin}/socket.io/rooms/${encodeURIComponent(room)}/events`;
    this.#headers = headers;
  }

  get(query = "", headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.url + query, { headers: { ...this.#headers, ...headers } });
  }

  async poll(query = ""): Promise<Polled> {
    const response = await this.get(query);
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
    return (await response.json()) as Polled;
  }

  publish(event: string, args: unknown[], key?: string): Promise<Response> {
    const headers = {
      ...this.#headers,
      "content-type": "application/json",
      ...(key === undefined ? {} : { "idempotency-key": key }),
    };
    return fetch(this.url, { method: "POST", headers, body: JSON.stringify({ event, args }) });
  }

  stream(after: { query?: string; lastEventId?: string } = {}): Promise<RoomStream> {
    return RoomStream.open(this.url + (after.query ?? ""), {
      ...this.#headers,
      accept: "text/event-stream",
      ...(after.lastEventId === undefined ? {} : { "last-event-id": after.lastEventId }),
    });
  }
}

/** One connection of server-sent events. */
export class RoomStream implements AsyncIterable<StreamMessage> {
  readonly response: Response;
  readonly decoder: EventStreamDecoder;
  readonly #abort: AbortController;

  private constructor(response: Response, abort: AbortController, lastEventId: string) {
    this.response = response;
    this.#abort = abort;
    this.decoder = new EventStreamDecoder(undefined, lastEventId);
  }

  static async open(url: string, headers: Record<string, string>): Promise<RoomStream> {
    const abort = new AbortController();
    const response = await fetch(url, { headers, signal: abort.signal });
    return new RoomStream(response, abort, headers["last-event-id"] ?? "");
  }

  /** Messages until the stream ends, breaks, or is left. */
  async *[Symbol.asyncIterator](): AsyncGenerator<StreamMessage> {
    const messages: StreamMessage[] = [];
    try {
      for await (const bytes of this.response.body ?? []) {
        this.decoder.write(bytes, { onMessage: (message) => messages.push(message) });
        yield* messages.splice(0);
      }
    } catch (error) {
      if (!this.#abort.signal.aborted && (error as Error).name !== "TypeError") throw error;
    } finally {
      this.close();
    }
  }

  async take(count: number): Promise<StreamMessage[]> {
    const taken: StreamMessage[] = [];
    for await (const message of this) if (taken.push(message) === count) break;
    return taken;
  }

  close(): void {
    this.#abort.abort();
  }
}
