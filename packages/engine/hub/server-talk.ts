/**
 * What servers say to each other through the hub: Socket.IO's `serverSideEmit`. Owns who was asked, who has answered and
 * when to stop waiting; nothing of it is stored, and clients have no part in it.
 */
import type { Timer } from "@tideway/base";
import type { Payload, ToHub } from "./contract.ts";
import { payloadWeight } from "./outgoing.ts";
import type { Registry } from "./registry.ts";
import type { ServerSeat } from "./seat.ts";

interface Question {
  readonly seat: ServerSeat;
  /** The asking server's number. */
  readonly emit: number;
  readonly expected: number;
  readonly asked: Set<ServerSeat>;
  missing: number;
  timer: Timer | null;
}

type ServerEmit = Extract<ToHub, { type: "server-emit" }>;

export class ServerTalk {
  readonly #surroundings: Registry["surroundings"];
  readonly #seats: ReadonlySet<ServerSeat>;
  /** By the number that the asked servers see, the oldest first. */
  readonly #questions = new Map<number, Question>();
  #numbers = 0;

  constructor(surroundings: Registry["surroundings"], seats: ReadonlySet<ServerSeat>) {
    this.#surroundings = surroundings;
    this.#seats = seats;
  }

  hear(seat: ServerSeat, message: Extract<ToHub, { type: "server-emit" | "server-reply" }>): void {
    if (message.type === "server-emit") this.#emit(seat, message);
    else this.#reply(seat, message.ask, message.payload);
  }

  /** To all other servers that are there and do not leave. */
  #emit(seat: ServerSeat, { namespace, payload, answers, timeoutMs }: ServerEmit): void {
    const { outbox, limits, logger } = this.#surroundings;
    if (payloadWeight(payload) > limits.emitBytesMax) {
      logger.error(
        { namespace, instance: seat.instance },
        "hub: a server-side emit is too large and was not passed on",
      );
      if (answers !== null) outbox.push(seat.port, { type: "answered", emit: answers, expected: 1, missing: 1 });
      return;
    }
    const others = [...this.#seats].filter((other) => other.open && other !== seat);
    const ask = answers === null || others.length === 0 ? null : ++this.#numbers;
    for (const { port } of others) outbox.push(port, { type: "server-event", namespace, payload, ask });
    if (answers === null) return;
    if (ask === null) {
      outbox.push(seat.port, { type: "answered", emit: answers, expected: 0, missing: 0 });
      return;
    }
    const asked = new Set(others);
    const question: Question = { seat, emit: answers, expected: others.length, asked, missing: 0, timer: null };
    this.#questions.set(ask, question);
    if (timeoutMs > 0) {
      question.timer = this.#surroundings.clock.after(timeoutMs, () => outbox.run(() => this.#finish(ask, question)));
    }
    this.#bound(seat);
  }

  /** A server's answer. One that nobody waits for (any more) is passed over. */
  #reply(seat: ServerSeat, ask: number, payload: Payload): void {
    const question = this.#questions.get(ask);
    if (question === undefined || !question.asked.delete(seat)) return;
    const { emit } = question;
    this.#surroundings.outbox.push(question.seat.port, { type: "answer", emit, socket: "", payload });
    if (question.asked.size === 0) this.#finish(ask, question);
  }

  /** The server is gone: it will neither hear nor answer. */
  gone(seat: ServerSeat): void {
    for (const [ask, question] of this.#questions) {
      if (question.seat === seat) {
        question.timer?.cancel();
        this.#questions.delete(ask);
      } else if (question.asked.delete(seat)) {
        question.missing++;
        if (question.asked.size === 0) this.#finish(ask, question);
      }
    }
  }

  #finish(ask: number, question: Question): void {
    const { seat, emit, expected, asked } = question;
    question.timer?.cancel();
    this.#questions.delete(ask);
    const missing = question.missing + asked.size;
    this.#surroundings.outbox.push(seat.port, { type: "answered", emit, expected, missing });
  }

  #bound(seat: ServerSeat): void {
    if (this.#questions.size <= this.#surroundings.limits.serverAnswersMax) return;
    const own = [...this.#questions].filter(([, question]) => question.seat === seat);
    const oldest = own[0];
    if (oldest !== undefined && own.length > this.#surroundings.limits.serverAnswersMax) this.#finish(...oldest);
  }
}
