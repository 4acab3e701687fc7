/**
 * Clients' requests before servers: Engine.IO's middlewares, `allowRequest` and the events about headers and refusals run in
 * an application's process, while requests are answered elsewhere. Owns who is asked, and what holds when nobody is there.
 *
 * Nobody comes in unseen: before the first server has said whether it wants to be asked, and while those who want to be are
 * away, requests wait, so many at most; after `decideMs` they are given up.
 */
import type { Timer } from "@tideway/base";
import type { ToHub } from "./contract.ts";
import type { Registry } from "./registry.ts";
import type { ClientRequest, RequestDoor, RequestRefusal, Verdict } from "./request-contract.ts";
import type { ServerSeat } from "./seat.ts";

const decideMs = 10_000;
/**
 * Of those who waited, so many are let in at once, and then what they say is heard before the next: all of thousands at once
 * would be served in step, and the first would wait for the last.
 */
const putAtOnce = 50;

interface Question {
  readonly request: ClientRequest;
  /** Null once it is decided. */
  decide: ((verdict: Verdict | null) => void) | null;
  /** It came before any server. */
  readonly early: boolean;
  /** Who was asked last; null while nobody is there. */
  seat: ServerSeat | null;
  timer: Timer | null;
}

type Wishes = Omit<Extract<ToHub, { type: "door" }>, "type">;

export class Door implements RequestDoor {
  readonly #surroundings: Registry["surroundings"];
  readonly #wishes = new Map<ServerSeat, Wishes>();
  readonly #questions = new Map<number, Question>();
  /** What all that are there wish, or, when none is, what the last one did; null before the first. */
  #all: Wishes | null = null;
  #numbers = 0;
  /** Some of those who waited are still to be let in. */
  #putting = false;
  /** Nobody has judged in time, and the log says so: once, until somebody does again. */
  #silent = false;

  constructor(surroundings: Registry["surroundings"]) {
    this.#surroundings = surroundings;
  }

  get asks(): boolean {
    return this.#all?.asks ?? true;
  }

  get crowded(): boolean {
    return this.#putting && this.#questions.size < this.#surroundings.limits.requestQuestionsMax;
  }

  get hears(): boolean {
    return this.#all?.hears === true;
  }

  get wishes(): string {
    return this.#all?.wishes ?? "";
  }

  ask(request: ClientRequest, decide: (verdict: Verdict | null) => void): number {
    const { clock, outbox, limits } = this.#surroundings;
    const number = ++this.#numbers;
    if (this.#questions.size >= limits.requestQuestionsMax) {
      decide(null);
      return number;
    }
    const question: Question = { request, decide, early: this.#all === null, seat: null, timer: null };
    this.#questions.set(number, question);
    question.timer = clock.after(decideMs, () => outbox.run(() => this.#giveUp(question)));
    if (!this.#putting) outbox.run(() => this.#put(number, question));
    return number;
  }

  over(number: number): void {
    this.#surroundings.outbox.run(() => this.#finish(number, ""));
  }

  /** A session has come of it. Returns the server that let it in, and has the request in its hands. */
  opened(number: number, connection: string): ServerSeat | null {
    return this.#finish(number, connection);
  }

  refused(number: number, request: ClientRequest, refusal: RequestRefusal): void {
    const { outbox } = this.#surroundings;
    const asked = this.#questions.get(number)?.seat ?? null;
    const seat = asked !== null && this.#wishes.get(asked)?.hears === true ? asked : this.#choose("hears");
    if (seat === null) return;
    const known = seat === asked ? number : 0;
    outbox.run(() => outbox.push(seat.port, { type: "request-refused", request: known, head: request, refusal }));
  }

  hear(seat: ServerSeat, message: Extract<ToHub, { type: "door" | "verdict" }>): void {
    if (message.type === "door") this.#wish(seat, message);
    else this.#judge(seat, message);
  }

  /** A server says what it wants. */
  #wish(seat: ServerSeat, { asks, hears, wishes }: Wishes): void {
    // The last to speak has the last word.
    this.#wishes.delete(seat);
    this.#wishes.set(seat, { asks, hears, wishes });
    this.#sumUp();
    this.#putWaiting();
  }

  #judge(seat: ServerSeat, message: Extract<ToHub, { type: "verdict" }>): void {
    const question = this.#questions.get(message.request);
    if (question?.seat !== seat) return;
    this.#silent = false;
    const { outcome, status, session, origin, fields, granted, payload } = message;
    const body = payload.attachments[0] ?? new Uint8Array(0);
    const verdict: Verdict = { outcome, status, message: message.message, session, origin, fields, granted, body };
    this.#decide(question, verdict);
  }

  /** The server is gone or about to go: what it was asked another one is asked. */
  gone(seat: ServerSeat): void {
    this.#wishes.delete(seat);
    this.#sumUp();
    for (const question of this.#questions.values()) if (question.seat === seat) question.seat = null;
    this.#putWaiting();
  }

  close(): void {
    for (const question of this.#questions.values()) this.#decide(question, null);
    this.#questions.clear();
  }

  /** One server that asks is enough: another that does not must not open its door. */
  #sumUp(): void {
    const all = [...this.#wishes.values()];
    if (all.length === 0) return;
    this.#all = {
      asks: all.some(({ asks }) => asks),
      hears: all.some(({ hears }) => hears),
      wishes: `[${[...new Set(all.map(({ wishes }) => wishes))].join(",")}]`,
    };
  }

  #putWaiting(): void {
    if (this.#putting) return;
    let left = putAtOnce;
    for (const [number, question] of this.#questions) {
      if (question.seat !== null || question.decide === null) continue;
      if (left-- === 0) {
        this.#putRest();
        return;
      }
      this.#put(number, question);
    }
  }

  #putRest(): void {
    const { clock, outbox } = this.#surroundings;
    this.#putting = true;
    clock.defer(() => {
      this.#putting = false;
      outbox.run(() => this.#putWaiting());
    });
  }

  #put(number: number, question: Question): void {
    const anew = question.early ? this.#all !== null : !this.asks;
    if (anew) {
      this.#decide(question, again);
      return;
    }
    const seat = this.#choose("asks");
    if (seat === null) return;
    question.seat = seat;
    this.#surroundings.outbox.push(seat.port, { type: "request", request: number, head: question.request });
  }

  /** The one with the fewest sockets: it will get those of the connection. */
  #choose(wish: "asks" | "hears"): ServerSeat | null {
    let least: ServerSeat | null = null;
    for (const [seat, wishes] of this.#wishes) {
      if (seat.open && wishes[wish] && (least === null || seat.sockets.size < least.sockets.size)) least = seat;
    }
    return least;
  }

  #giveUp(question: Question): void {
    const { logger } = this.#surroundings;
    const servers = this.#wishes.size;
    if (!this.#silent)
      logger.warn({ servers, waitedMs: decideMs }, "hub: no server judges clients' requests; they are refused");
    this.#silent = true;
    this.#decide(question, null);
  }

  #decide(question: Question, verdict: Verdict | null): void {
    const { decide } = question;
    question.decide = null;
    question.timer?.cancel();
    decide?.(verdict);
  }

  #finish(number: number, connection: string): ServerSeat | null {
    const question = this.#questions.get(number);
    if (question === undefined) return null;
    this.#questions.delete(number);
    question.timer?.cancel();
    question.decide = null;
    const { seat } = question;
    if (seat !== null) this.#surroundings.outbox.push(seat.port, { type: "request-over", request: number, connection });
    return seat;
  }
}

const again: Verdict = Object.freeze({
  outcome: "again",
  status: 0,
  message: "",
  session: "",
  origin: false,
  fields: [],
  granted: [],
  body: new Uint8Array(0),
});
