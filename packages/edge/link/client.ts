/**
 * The application's side of the link: a `HubPort` that survives the hub. Owns connecting, backing off and what becomes
 * of messages while there is no hub; refuses to know rooms, sockets and events.
 *
 * While the hub is away:
 * - emits, questions, and joins, leaves and closes by selector wait (at most `bufferBytesMax`; beyond it they are dropped
 *   and counted in a log line) and go out first, in order, when it is back;
 * - volatile emits, and what names sockets that are no longer this server's, are dropped;
 * - whoever had asked for a receipt or an answer before the hub went away must give up: `onState("down")` tells it to. An
 *   emit with a receipt that was in flight may or may not be committed; sent again with the same key it is committed once.
 *
 * `done` is this room's to send: after all messages of a frame were handed over, in the same outgoing batch as whatever
 * their handlers sent.
 */
import { connect } from "node:net";
import type { Clock, Logger, Timer } from "@tideway/base";
import { OperatorError } from "@tideway/base";
import { messageWeight } from "./frames.ts";
import { Line, LineEnd, type LinkLimits, linkLimits } from "./line.ts";
import type { HubPort, ServerPort, ToHub, ToServer } from "./messages.ts";
import { toServerShapes } from "./shapes.ts";

export const LinkState = {
  /** No hub now; one is being looked for. */
  down: "down",
  open: "open",
  /** For good. */
  closed: "closed",
} as const;
export type LinkState = (typeof LinkState)[keyof typeof LinkState];

export interface LinkOptions {
  /** What `TIDEWAY_LINK` says: `unix:/path`. */
  readonly address: string;
  /** The instance's name, for the hub's logs and status. */
  readonly instance: string;
  readonly server: ServerPort;
  readonly onState: (state: LinkState) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: LinkLimits;
}

export interface Link extends HubPort {
  readonly state: LinkState;
  /** Sends what is queued and leaves for good; resolves when it has left. */
  close(): Promise<void>;
}

const retryFirstMs = 50;
const retryMaxMs = 2_000;

/** Joins the hub at `address`, for as long as it takes to find it. */
export function connectLink(options: LinkOptions): Link {
  return new LinkClient(options);
}

class LinkClient implements Link {
  readonly #options: LinkOptions;
  readonly #limits: LinkLimits;
  readonly #path: string;
  #state: LinkState = LinkState.down;
  #line: Line<ToServer, ToHub> | null = null;
  #waiting: ToHub[] = [];
  #waitingWeight = 0;
  #dropped = 0;
  #failures = 0;
  #retry: Timer | null = null;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#limits = options.limits ?? linkLimits;
    this.#path = socketPath(options.address);
    this.#connect();
  }

  get state(): LinkState {
    return this.#state;
  }

  send(message: ToHub): void {
    if (this.#state === LinkState.closed) return;
    if (isTooLarge(message, this.#limits.payloadBytesMax)) {
      this.#refuse(message);
      return;
    }
    if (this.#state === LinkState.open) this.#line?.send(message);
    else this.#keep(message);
  }

  gone(): void {
    void this.close();
  }

  close(): Promise<void> {
    if (this.#state === LinkState.closed) return Promise.resolve();
    this.#state = LinkState.closed;
    this.#retry?.cancel();
    this.#waiting = [];
    this.#options.onState(LinkState.closed);
    const line = this.#line;
    return line === null ? Promise.resolve() : new Promise((resolve) => line.close(resolve));
  }

  #connect(): void {
    const { clock } = this.#options;
    const socket = connect(this.#path);
    this.#line = new Line(socket, clock, this.#limits, toServerShapes, true, {
      onOpen: () => this.#onOpen(),
      onBatch: (messages) => this.#onBatch(messages),
      onEnd: (why, detail, unsent) => this.#onEnd(why, detail, unsent),
    });
  }

  #onOpen(): void {
    if (this.#state === LinkState.closed) return;
    this.#state = LinkState.open;
    this.#failures = 0;
    this.#line?.send({ type: "hello", instance: this.#options.instance });
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingWeight = 0;
    for (const message of waiting) this.#line?.send(message);
    if (this.#dropped > 0) {
      this.#options.logger.error({ dropped: this.#dropped }, "link: emits were dropped while the hub was away");
      this.#dropped = 0;
    }
    this.#options.onState(LinkState.open);
  }

  #onBatch(messages: ToServer[]): void {
    let last = -1;
    for (const message of messages) {
      this.#options.server.send(message);
      if (message.type === "event") last = message.seq;
    }
    if (last >= 0 && this.#state === LinkState.open) this.#line?.send({ type: "done", seq: last });
  }

  #onEnd(why: LineEnd, detail: string, unsent: ToHub[]): void {
    if (this.#state === LinkState.closed) return;
    const { logger, clock, onState } = this.#options;
    const wasOpen = this.#state === LinkState.open;
    this.#state = LinkState.down;
    this.#line = null;
    const retryMs = Math.min(retryMaxMs, retryFirstMs * 2 ** Math.min(this.#failures, 10));
    this.#failures++;
    if (why === LineEnd.closed && !wasOpen) logger.debug({ detail, retryMs }, "link: no hub yet");
    else if (why === LineEnd.closed) logger.warn({ detail, retryMs }, "link: the hub is gone; looking for it");
    else logger.error({ why, detail, retryMs }, "link: the line to the hub was cut");
    if (wasOpen) {
      // Who waits for an answer is told that there is none: then nothing must be sent on its behalf later.
      for (const message of unsent) if (!isQuestion(message)) this.#keep(message);
      onState(LinkState.down);
    }
    this.#retry = clock.after(retryMs, () => this.#connect());
  }

  #keep(message: ToHub): void {
    if (!outlivesHub(message)) return;
    const weight = messageWeight(message);
    if (this.#waitingWeight + weight > this.#limits.bufferBytesMax) {
      if (this.#dropped++ === 0) {
        const { bufferBytesMax } = this.#limits;
        this.#options.logger.error(
          { bufferBytesMax },
          "link: the buffer for a hub that is away is full; emits are dropped",
        );
      }
      return;
    }
    this.#waiting.push(message);
    this.#waitingWeight += weight;
  }

  #refuse(message: ToHub): void {
    const { payloadBytesMax } = this.#limits;
    this.#options.logger.error({ type: message.type, payloadBytesMax }, "link: a message is too large and was dropped");
    if (message.type !== "emit" && message.type !== "server-emit") return;
    const { answers } = message;
    const receipt = message.type === "emit" ? message.receipt : null;
    this.#options.clock.defer(() => {
      const { server } = this.#options;
      if (receipt !== null) server.send({ type: "unpublished", receipt, code: "TOO_LARGE" });
      if (answers !== null) server.send({ type: "answered", emit: answers, expected: 1, missing: 1 });
    });
  }
}

function isTooLarge(message: ToHub, bytesMax: number): boolean {
  if (!("payload" in message)) return "data" in message && message.data.length > bytesMax;
  return messageWeight(message) > bytesMax;
}

/** Whether somebody waits for the hub's word on it. */
function isQuestion(message: ToHub): boolean {
  if (message.type === "server-emit") return message.answers !== null;
  if (message.type === "where") return true;
  return message.type === "find" || (message.type === "emit" && (message.receipt !== null || message.answers !== null));
}

function outlivesHub(message: ToHub): boolean {
  if (message.type === "emit") return !message.volatile;
  return ["server-emit", "find", "where", "join", "leave", "close", "expel"].includes(message.type);
}

function socketPath(address: string): string {
  if (address.startsWith("unix:/")) return address.slice("unix:".length);
  throw new OperatorError("CONFIG_INVALID", {
    where: "TIDEWAY_LINK",
    seen: address,
    allowed: "unix:/path/of/the/socket",
    hint: "Start the application through Tideway, or pass an http.Server or a port to new Server().",
  });
}
