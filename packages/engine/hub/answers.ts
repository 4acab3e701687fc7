/**
 * Emits that want answers: whom they asked, who has answered, and when to stop waiting. Answers are passed on one by one;
 * at the end the server is told how many are missing.
 */
import type { Timer } from "@tideway/base";
import { encodeEvent } from "@tideway/wire/socketio";
import type { Payload, ToHub } from "./contract.ts";
import type { Namespace } from "./namespace.ts";
import { Packet } from "./outgoing.ts";
import type { Registry } from "./registry.ts";
import type { HubSocket, Questioner, Seat } from "./socket.ts";

interface Question extends Questioner {
  /** The number that clients see. */
  readonly id: number;
  readonly seat: Seat;
  /** The server's number. */
  readonly emit: number;
  readonly expected: number;
  missing: number;
  timer: Timer | null;
}

type Emit = Extract<ToHub, { type: "emit" }>;

export class Answers {
  readonly #registry: Registry;
  readonly #questions = new Map<number, Question>();
  readonly #bySeat = new Map<Seat, Set<Question>>();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  get pending(): number {
    return this.#questions.size;
  }

  /** Sends the emit to all that match and waits for them. */
  ask(namespace: Namespace, seat: Seat, emit: Emit, number: number): void {
    const { clock, limits, outbox } = this.#registry.surroundings;
    const sockets = namespace.select(emit.to);
    if (sockets.length === 0) {
      outbox.push(seat.port, { type: "answered", emit: number, expected: 0, missing: 0 });
      return;
    }
    const id = this.#registry.next();
    const question: Question = {
      id,
      seat,
      emit: number,
      expected: sockets.length,
      missing: 0,
      asked: new Set(sockets),
      timer: null,
    };
    this.#questions.set(id, question);
    const own = this.#ofSeat(seat);
    own.add(question);
    for (const socket of sockets) {
      socket.questions ??= new Set();
      socket.questions.add(question);
    }
    if (emit.timeoutMs > 0) {
      question.timer = clock.after(emit.timeoutMs, () => outbox.run(() => this.#finish(question)));
    }
    const { json, attachments } = emit.payload;
    const encoded = encodeEvent(namespace.name, id, json, attachments.length);
    const packet = new Packet(encoded, attachments, emit.volatile, emit.compress);
    for (const socket of sockets) socket.sink.send(packet);
    const oldest = own.values().next().value;
    if (own.size > limits.answersMax && oldest !== undefined) this.#finish(oldest);
  }

  /** A client's answer. One that nobody waits for (any more) is passed over. */
  answer(socket: HubSocket, id: number, payload: Payload): void {
    const question = this.#questions.get(id);
    if (question === undefined || !question.asked.delete(socket)) return;
    socket.questions?.delete(question);
    this.#registry.surroundings.outbox.push(question.seat.port, {
      type: "answer",
      emit: question.emit,
      socket: socket.id,
      payload,
    });
    if (question.asked.size === 0) this.#finish(question);
  }

  /** The client is gone and will not answer. */
  left(socket: HubSocket): void {
    if (socket.questions === null) return;
    const questions = socket.questions as Set<Question>;
    socket.questions = null;
    for (const question of questions) {
      if (!question.asked.delete(socket)) continue;
      question.missing++;
      if (question.asked.size === 0) this.#finish(question);
    }
  }

  /** The server is gone and will not hear. */
  abandon(seat: Seat): void {
    for (const question of this.#bySeat.get(seat) ?? []) this.#forget(question);
    this.#bySeat.delete(seat);
  }

  #ofSeat(seat: Seat): Set<Question> {
    const known = this.#bySeat.get(seat);
    if (known !== undefined) return known;
    const made = new Set<Question>();
    this.#bySeat.set(seat, made);
    return made;
  }

  #finish(question: Question): void {
    if (!this.#questions.has(question.id)) return;
    const { seat, emit, expected } = question;
    const missing = question.missing + question.asked.size;
    this.#forget(question);
    this.#registry.surroundings.outbox.push(seat.port, { type: "answered", emit, expected, missing });
  }

  #forget(question: Question): void {
    question.timer?.cancel();
    this.#questions.delete(question.id);
    this.#bySeat.get(question.seat)?.delete(question);
    for (const socket of question.asked) socket.questions?.delete(question);
    question.asked.clear();
  }
}
