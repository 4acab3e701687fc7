/** For this folder's tests: rooms behind real transports and a real hub on a fake clock, with an application that opened them. */
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { Hub, type HubOptions, MemoryStore, type RoomQuestion } from "@tideway/engine/hub";
import { type FakeServer, opener, SlowStore } from "@tideway/engine/hub/testing";
import { EventStreamDecoder, type StreamMessage } from "@tideway/wire/eventstream";
import { createTransports, type Transports, type TransportsOptions } from "../index.ts";
import { FakeExchange, type FakeRequest } from "../testing.ts";

export interface PollAnswer {
  events: { offset: string; event: string; args: unknown[]; at: number }[];
  next: string;
  gap: boolean;
}

/** What a stream has said so far, one line each. */
export function heard(exchange: FakeExchange): string[] {
  const out: string[] = [];
  const decoder = new EventStreamDecoder();
  decoder.write(Buffer.from(exchange.body), {
    onMessage: ({ type, data, lastEventId }: StreamMessage) => out.push(`${type} ${data} ${lastEventId}`),
  });
  return out;
}

/** What its client would send as `Last-Event-ID`. */
export function lastEventId(exchange: FakeExchange): string {
  const decoder = new EventStreamDecoder();
  decoder.write(Buffer.from(exchange.body), { onMessage() {} });
  return decoder.lastEventId;
}

export function parsed(exchange: FakeExchange): PollAnswer {
  return JSON.parse(exchange.body) as PollAnswer;
}

export class RoomStage {
  readonly clock = new FakeClock();
  readonly logged: [object, string][] = [];
  readonly hub: Hub;
  readonly transports: Transports;
  /** The application. */
  readonly server: FakeServer;
  /** Its word on each question; null leaves it open. */
  rule: (question: RoomQuestion) => boolean | null = () => true;
  readonly asked: RoomQuestion[] = [];
  /** Its answers wait when it is not `quick`; null where nothing is kept. */
  readonly store: SlowStore | null;

  constructor(options: Partial<TransportsOptions> = {}, hubOptions: Partial<HubOptions> = {}) {
    const { clock } = this;
    const random = new SeededRandom(1);
    this.store =
      hubOptions.store === null ? null : new SlowStore(hubOptions.store ?? new MemoryStore({ clock, random }));
    if (this.store !== null) this.store.quick = true;
    this.hub = new Hub({ clock, random, ...hubOptions, store: this.store });
    const log = (fields: object, text: string) => void this.logged.push([fields, text]);
    this.transports = createTransports({
      clock,
      random,
      logger: { debug() {}, info: log, warn: log, error: log },
      open: (line, handshake) => this.hub.open(line, handshake),
      rooms: this.hub.rooms,
      ...options,
    });
    this.server = opener(this.hub, "one", (question) => {
      this.asked.push(question);
      return this.rule(question);
    });
  }

  emit(room: string, ...args: unknown[]): void {
    this.server.emit([room], args);
    this.clock.settle();
  }

  request(request: FakeRequest = {}): FakeExchange {
    const exchange = new FakeExchange({ path: "/socket.io/rooms/a/events", query: "", ...request });
    this.transports.handle(exchange);
    this.clock.settle();
    return exchange;
  }

  poll(query = "", request: FakeRequest = {}): FakeExchange {
    return this.request({ query, ...request });
  }

  stream(query = "", lastEventId = "", request: FakeRequest = {}): FakeExchange {
    const fields = ["accept", "text/event-stream", ...(lastEventId === "" ? [] : ["last-event-id", lastEventId])];
    return this.request({ query, ...request, fields: [...fields, ...(request.fields ?? [])] });
  }

  publish(body: unknown, request: FakeRequest = {}): FakeExchange {
    const bytes = Buffer.from(Buffer.isBuffer(body) || typeof body === "string" ? body : JSON.stringify(body));
    const fields = ["content-type", "application/json", ...(request.fields ?? [])];
    const exchange = this.request({ method: "POST", bodyLength: bytes.length, ...request, fields });
    if (exchange.done) return exchange;
    exchange.handler.onBody(bytes);
    if (!exchange.done) exchange.handler.onBodyEnd([]);
    this.clock.settle();
    return exchange;
  }

  /** The application goes, and nobody is there to be asked. */
  serverGone(): void {
    this.server.port.gone();
  }

  /** The next one comes. */
  serverBack(): void {
    opener(this.hub, "two", (question) => this.rule(question));
    this.clock.settle();
  }
}
