/**
 * One server's dealings with its hub, in the words of `engine/hub/contract.ts`: numbers what wants an answer, remembers
 * it until the answer comes or can no longer come, and hands everything else to the server. The same whether the hub is
 * in this process or at the other end of a link.
 *
 * Nothing that waits here waits for ever in silence: when the hub is lost, all of it is told.
 */
import type { Clock } from "@tideway/base";
import type { DisconnectReason, Selector, ServerPort, ToHub, ToServer } from "@tideway/engine/hub";
import { encodeArguments, parseArguments } from "@tideway/wire/socketio";
import { OwedAnswers } from "./owed-answers.ts";

/** What came of `publish`. */
export interface Published {
  /** Names the event's place in the stream; what `after=` and a recovering client send. */
  readonly offset: string;
  readonly seq: number;
  /** True when the idempotency key was known: nothing was published now, the place is the first one's. */
  readonly duplicate: boolean;
}

export const publishErrors = {
  STORE_FULL: "The store has no room for another event; try again later.",
  STORE_FAILED: "The store failed; nothing more is accepted until it is mended.",
  TOO_LARGE: "The event is too large.",
  HUB_LOST:
    "The hub went away, or did not come, before it answered: the event may or may not be published. With a key, again is safe.",
  CLOSED: "This server is closed.",
} as const;
export type PublishErrorCode = keyof typeof publishErrors;

/** Why a publish, or a question to the hub, failed. */
export class PublishError extends Error {
  override name = "PublishError";
  readonly code: PublishErrorCode;

  constructor(code: PublishErrorCode) {
    super(publishErrors[code]);
    this.code = code;
  }
}

export type FoundSockets = Extract<ToServer, { type: "found" }>["sockets"];
export type RequestMessage = Extract<ToServer, { type: "request" | "request-over" | "request-refused" }>;
export type ConnectMessage = Extract<ToServer, { type: "connect" }>;

/** How the session reaches the hub: directly, or through a link. */
export interface Uplink {
  /** Whether there is a hub now. */
  readonly open: boolean;
  send(message: ToHub): void;
}

/** What the hub says that is not an answer: the server's part. */
export interface SessionEvents {
  onConnect(message: ConnectMessage): void;
  onEvent(socket: string, args: unknown[], ack: number | null): void;
  onDisconnect(socket: string, reason: DisconnectReason): void;
  onRooms(socket: string, joined: readonly string[], left: readonly string[]): void;
  onLineClosed(connection: string, reason: DisconnectReason): void;
  onUpgraded(connection: string, transport: ConnectMessage["transport"]): void;
  /** The client sent an event or an answer that is none: its line is to be closed. */
  onFault(socket: string): void;
  /** Of clients' requests, when they are answered elsewhere. */
  onRequest(message: RequestMessage): void;
  /** Another server says something; with `ask`, it waits for `serverReply`. */
  onServerEvent(namespace: string, args: unknown[], ask: number | null): void;
}

/** Somebody waits for clients' answers to one emit. */
export interface AnswerCollector {
  /** One client's arguments. True when no more are wanted. */
  onAnswer(args: unknown[]): boolean;
  /** No more will come; `missing` clients were asked and did not answer. */
  onAnswered(missing: number): void;
}

export interface EmitFlags {
  readonly volatile: boolean;
  readonly compress: boolean;
  /** Whole milliseconds to wait for answers; 0 for no limit. */
  readonly timeoutMs: number;
}

/** Somebody who wants to know who is in a room. */
export interface RoomWatcher {
  /** There is a hub: it has to be asked (again). */
  watch(): void;
  onPresence(message: Extract<ToServer, { type: "present" | "presence" }>): void;
}

/** Somebody who has opened rooms of a namespace, and says who may. */
export interface RoomOpener {
  /** There is a hub: it has to be told (again). */
  announce(): void;
  onPermit(message: Extract<ToServer, { type: "permit" }>): void;
}

/** Names no two rooms alike: names of namespaces and rooms may hold anything. */
export function watcherKey(namespace: string, room: string): string {
  return JSON.stringify([namespace, room]);
}

/** How long a question that was asked while the hub was away waits. */
const awayMs = 10_000;

export class HubSession implements ServerPort {
  readonly #events: SessionEvents;
  readonly #clock: Clock;
  /** Answers to clients. */
  readonly owed: OwedAnswers;
  #uplink: Uplink | null = null;
  /** What was said before there was a way to the hub: between `new Server()` and the end of its tick. */
  #early: ToHub[] = [];
  #numbers = 0;
  /** By `watcherKey`. */
  readonly watchers = new Map<string, RoomWatcher>();
  /** By namespace. */
  readonly openers = new Map<string, RoomOpener>();
  readonly #collectors = new Map<number, AnswerCollector>();
  readonly #receipts = new Map<number, { resolve: (published: Published) => void; reject: (error: Error) => void }>();
  readonly #requests = new Map<number, { resolve: (found: FoundSockets) => void; reject: (error: Error) => void }>();
  readonly #places = new Map<number, { resolve: (offset: string) => void; reject: (error: Error) => void }>();

  constructor(events: SessionEvents, clock: Clock) {
    this.#events = events;
    this.#clock = clock;
    this.owed = new OwedAnswers(clock);
  }

  /** Names the way to the hub. */
  start(uplink: Uplink): void {
    this.#uplink = uplink;
    if (uplink.open) this.joined();
    for (const message of this.#early.splice(0)) uplink.send(message);
  }

  get isOpen(): boolean {
    return this.#uplink?.open === true;
  }

  /** To the hub. */
  tell(message: ToHub): void {
    if (this.#uplink === null) this.#early.push(message);
    else this.#uplink.send(message);
  }

  emit(to: Selector, args: readonly unknown[], flags: EmitFlags, collector: AnswerCollector | null): void {
    const { volatile, compress, timeoutMs } = flags;
    let answers: number | null = null;
    if (collector !== null) {
      // The hub counts the time from when it gets the emit, and one that may be dropped does not wait for it.
      const limit = timeoutMs > 0 ? timeoutMs : awayMs;
      const final = volatile || timeoutMs > 0;
      answers = this.#ask(this.#collectors, collector, () => collector.onAnswered(1), limit, final);
    }
    const payload = encodeArguments(args);
    this.tell({ type: "emit", to, payload, volatile, compress, answers, timeoutMs, receipt: null, key: null });
  }

  /** To the other servers of the hub. */
  serverEmit(namespace: string, args: readonly unknown[], timeoutMs: number, collector: AnswerCollector | null): void {
    const giveUp = () => collector?.onAnswered(1);
    const answers = collector === null ? null : this.#ask(this.#collectors, collector, giveUp, timeoutMs);
    this.tell({ type: "server-emit", namespace, payload: encodeArguments(args), answers, timeoutMs });
  }

  serverReply(ask: number, args: readonly unknown[]): void {
    this.tell({ type: "server-reply", ask, payload: encodeArguments(args) });
  }

  publish(to: Selector, args: readonly unknown[], key: string | null): Promise<Published> {
    const payload = encodeArguments(args);
    return new Promise((resolve, reject) => {
      const receipt = this.#ask(this.#receipts, { resolve, reject }, () => reject(new PublishError("HUB_LOST")));
      this.tell({
        type: "emit",
        to,
        payload,
        volatile: false,
        compress: true,
        answers: null,
        timeoutMs: 0,
        receipt,
        key,
      });
    });
  }

  find(to: Selector): Promise<FoundSockets> {
    return new Promise((resolve, reject) => {
      const request = this.#ask(this.#requests, { resolve, reject }, () => reject(new PublishError("HUB_LOST")));
      this.tell({ type: "find", request, to });
    });
  }

  /** Where the namespace's stream is, behind all that was said before. */
  place(namespace: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const request = this.#ask(this.#places, { resolve, reject }, () => reject(new PublishError("HUB_LOST")));
      this.tell({ type: "where", request, namespace });
    });
  }

  /** To a client that waits for an answer. */
  reply(socket: string, ack: number, args: readonly unknown[]): void {
    this.tell({ type: "reply", socket, ack, payload: encodeArguments(args) });
    this.owed.given(ack);
  }

  /** The hub is gone, or this server leaves: whatever waits for it is told so. */
  lost(code: "HUB_LOST" | "CLOSED"): void {
    this.owed.clear();
    const waiting = [...this.#receipts.values(), ...this.#requests.values(), ...this.#places.values()];
    const collectors = [...this.#collectors.values()];
    this.#receipts.clear();
    this.#requests.clear();
    this.#places.clear();
    this.#collectors.clear();
    for (const { reject } of waiting) reject(new PublishError(code));
    for (const collector of collectors) collector.onAnswered(1);
  }

  /**
   * Writes down who waits. The hub's end is its end; asked while the hub is away, it is given up after a time, for it may
   * never reach the hub. Unless `final`, only if the hub is still away then: it may have the question in its hands.
   */
  #ask<T>(waiting: Map<number, T>, who: T, giveUp: () => void, limitMs = awayMs, final = true): number {
    const number = ++this.#numbers;
    waiting.set(number, who);
    if (this.#uplink?.open !== true) {
      this.#clock.after(limitMs, () => {
        if ((final || this.#uplink?.open !== true) && waiting.delete(number)) giveUp();
      });
    }
    return number;
  }

  /** The hub is there, for the first time or again. */
  joined(): void {
    for (const watcher of this.watchers.values()) watcher.watch();
    for (const opener of this.openers.values()) opener.announce();
  }

  /** From the hub. */
  send(message: ToServer): void {
    switch (message.type) {
      case "present":
      case "presence":
        this.watchers.get(watcherKey(message.namespace, message.room))?.onPresence(message);
        break;
      case "connect":
        this.#events.onConnect(message);
        break;
      case "event": {
        const args = parsePayload(message.payload, "event");
        if (args === null) this.#events.onFault(message.socket);
        else this.#events.onEvent(message.socket, args, message.ack);
        break;
      }
      case "server-event": {
        const args = parsePayload(message.payload, "event");
        if (args !== null) this.#events.onServerEvent(message.namespace, args, message.ask);
        break;
      }
      case "answer":
        this.#onAnswer(message);
        break;
      case "answered": {
        const collector = this.#collectors.get(message.emit);
        this.#collectors.delete(message.emit);
        collector?.onAnswered(message.missing);
        break;
      }
      case "disconnect":
        this.#events.onDisconnect(message.socket, message.reason);
        break;
      case "rooms":
        this.#events.onRooms(message.socket, message.joined, message.left);
        break;
      case "upgraded":
        this.#events.onUpgraded(message.connection, message.transport);
        break;
      case "line-closed":
        this.#events.onLineClosed(message.connection, message.reason);
        break;
      case "request":
      case "request-over":
      case "request-refused":
        this.#events.onRequest(message);
        break;
      case "published": {
        const { offset, seq, duplicate } = message;
        this.#receipts.get(message.receipt)?.resolve({ offset, seq, duplicate });
        this.#receipts.delete(message.receipt);
        break;
      }
      case "unpublished":
        this.#receipts.get(message.receipt)?.reject(new PublishError(message.code));
        this.#receipts.delete(message.receipt);
        break;
      case "found":
        this.#requests.get(message.request)?.resolve(message.sockets);
        this.#requests.delete(message.request);
        break;
      case "place":
        this.#places.get(message.request)?.resolve(message.offset);
        this.#places.delete(message.request);
        break;
      case "permit":
        this.openers.get(message.namespace)?.onPermit(message);
        break;
    }
  }

  #onAnswer({ emit, socket, payload }: Extract<ToServer, { type: "answer" }>): void {
    const collector = this.#collectors.get(emit);
    if (collector === undefined) return;
    const args = parsePayload(payload, "answer");
    if (args === null) this.#events.onFault(socket);
    else if (collector.onAnswer(args)) this.#collectors.delete(emit);
  }
}

/** Null for what is no event, or no answer. The hub passes texts on unread, so that they are parsed once: here. */
function parsePayload(
  payload: { json: string; attachments: readonly Uint8Array[] },
  role: "event" | "answer",
): unknown[] | null {
  let { attachments } = payload;
  // Node's users know binary arguments as Buffers.
  if (attachments.length > 0)
    attachments = attachments.map((bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const parsed = parseArguments(payload.json, attachments, role);
  return parsed.ok ? parsed.args : null;
}
