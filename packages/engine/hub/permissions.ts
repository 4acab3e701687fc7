/**
 * Who may read and publish in rooms over plain HTTP: asked of the servers that opened rooms of the namespace, one server for
 * each question. Owns which servers those are, what is asked of whom, and what holds for every client and need not be asked
 * again. Knows no patterns: they are the application's, and so are their faults.
 *
 * While no server is there that could be asked, questions wait for one: an application that is being deployed refuses nobody.
 */
import type { Timer } from "@tideway/base";
import type { Registry } from "./registry.ts";
import { type RoomQuestion, RoomVerdict } from "./room-contract.ts";
import type { ServerSeat } from "./seat.ts";

interface Pending {
  readonly question: RoomQuestion;
  readonly done: (verdict: RoomVerdict) => void;
  /** Null while no server is there to ask. */
  seat: ServerSeat | null;
  readonly timer: Timer;
}

export class Permissions {
  readonly #registry: Registry;
  readonly #seats: ReadonlySet<ServerSeat>;
  /** By namespace: servers that opened rooms of it. Those that are asked next come first. */
  readonly #opened = new Map<string, Set<ServerSeat>>();
  /** Namespaces whose last server is gone: the next one is waited for until the timer runs. */
  readonly #left = new Map<string, Timer>();
  readonly #pending = new Map<number, Pending>();
  /** What holds for all clients, the oldest first. */
  readonly #known = new Map<string, boolean>();

  constructor(registry: Registry, seats: ReadonlySet<ServerSeat>) {
    this.#registry = registry;
    this.#seats = seats;
  }

  get pending(): number {
    return this.#pending.size;
  }

  open(seat: ServerSeat, namespace: string): void {
    this.#known.clear();
    this.#left.get(namespace)?.cancel();
    this.#left.delete(namespace);
    const servers = this.#opened.get(namespace);
    if (servers === undefined) this.#opened.set(namespace, new Set([seat]));
    else servers.add(seat);
    for (const [number, pending] of this.#pending) {
      if (pending.seat === null && pending.question.namespace === namespace) this.#send(number, pending);
    }
  }

  shut(seat: ServerSeat, namespace: string): void {
    this.#known.clear();
    const servers = this.#opened.get(namespace);
    if (servers?.delete(seat) === true && servers.size === 0) this.#opened.delete(namespace);
    this.#reconsider();
  }

  /** The server is to be asked nothing any more; what it was asked, it may still answer. */
  leaving(seat: ServerSeat): void {
    for (const [namespace, servers] of this.#opened) {
      if (!servers.delete(seat) || servers.size > 0) continue;
      this.#opened.delete(namespace);
      const { clock, handoverMs, outbox } = this.#registry.surroundings;
      const giveUp = () => {
        this.#left.delete(namespace);
        outbox.run(() => this.#reconsider());
      };
      this.#left.set(namespace, clock.after(handoverMs, giveUp));
    }
    this.#known.clear();
  }

  gone(seat: ServerSeat): void {
    this.leaving(seat);
    for (const [number, pending] of this.#pending) {
      if (pending.seat !== seat) continue;
      pending.seat = null;
      this.#send(number, pending);
    }
  }

  ask(question: RoomQuestion, done: (verdict: RoomVerdict) => void): () => void {
    const { clock, limits, outbox } = this.#registry.surroundings;
    const known = this.#known.get(keyOf(question));
    if (known !== undefined) {
      done(known ? RoomVerdict.yes : RoomVerdict.no);
      return () => {};
    }
    if (this.#pending.size >= limits.roomQuestionsMax) {
      done(RoomVerdict.later);
      return () => {};
    }
    const number = this.#registry.next();
    const timer = clock.after(limits.roomQuestionMs, () => this.#settle(number, RoomVerdict.later));
    const pending: Pending = { question, done, seat: null, timer };
    this.#pending.set(number, pending);
    outbox.run(() => this.#send(number, pending));
    return () => {
      if (this.#pending.delete(number)) timer.cancel();
    };
  }

  /** A server's answer; with `forAll` it holds for every client, until something changes. */
  answer(seat: ServerSeat, number: number, allowed: boolean, forAll: boolean): void {
    const pending = this.#pending.get(number);
    if (pending === undefined || pending.seat !== seat) return;
    if (forAll && this.#opened.get(pending.question.namespace)?.has(seat) === true) {
      this.#know(keyOf(pending.question), allowed);
    }
    this.#settle(number, allowed ? RoomVerdict.yes : RoomVerdict.no);
  }

  close(): void {
    for (const timer of this.#left.values()) timer.cancel();
    this.#left.clear();
    for (const number of [...this.#pending.keys()]) this.#settle(number, RoomVerdict.later);
  }

  #send(number: number, pending: Pending): void {
    const { namespace } = pending.question;
    const servers = this.#opened.get(namespace);
    const [seat] = servers ?? [];
    if (seat === undefined) {
      if (!this.#mayCome(namespace)) this.#settle(number, RoomVerdict.no);
      return;
    }
    servers?.delete(seat);
    servers?.add(seat);
    pending.seat = seat;
    this.#registry.surroundings.outbox.push(seat.port, { type: "permit", ask: number, ...pending.question });
  }

  /** Whether a server may yet come that has opened rooms of the namespace. */
  #mayCome(namespace: string): boolean {
    if (this.#left.has(namespace)) return true;
    for (const { open } of this.#seats) if (open) return false;
    return true;
  }

  /** For some of those that wait nobody may come any more. */
  #reconsider(): void {
    for (const [number, pending] of this.#pending) if (pending.seat === null) this.#send(number, pending);
  }

  #settle(number: number, verdict: RoomVerdict): void {
    const pending = this.#pending.get(number);
    if (pending === undefined) return;
    this.#pending.delete(number);
    pending.timer.cancel();
    pending.done(verdict);
  }

  #know(key: string, allowed: boolean): void {
    this.#known.set(key, allowed);
    if (this.#known.size <= this.#registry.surroundings.limits.roomVerdictsMax) return;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
  }
}

/** What holds for all clients holds for all events. */
function keyOf({ namespace, room, action }: RoomQuestion): string {
  return JSON.stringify([namespace, room, action]);
}
