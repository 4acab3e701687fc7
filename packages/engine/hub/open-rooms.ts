/**
 * Rooms over plain HTTP, as the hub serves them: joins permissions, readings and publishing. What is published here takes the
 * same way as what servers emit, so that its place in the order is like any other's.
 */
import type { Payload, PublishFault, ServerPort, ToHub } from "./contract.ts";
import type { Delivery } from "./delivery.ts";
import { Permissions } from "./permissions.ts";
import { Readers } from "./readers.ts";
import type { Registry } from "./registry.ts";
import type { RoomPublished, RoomQuestion, RoomReading, RoomsPort, RoomVerdict } from "./room-contract.ts";
import { Reading, StoreTurns } from "./room-reading.ts";
import { ServerSeat } from "./seat.ts";

type Published = (published: RoomPublished) => void;
type Place = Extract<RoomPublished, { ok: true }>;

export class OpenRooms implements RoomsPort {
  readonly #registry: Registry;
  readonly #delivery: Delivery;
  readonly #permissions: Permissions;
  readonly #turns: StoreTurns;
  /** In whose name clients publish. It holds no sockets. */
  readonly #seat: ServerSeat;
  readonly #receipts = new Map<number, Published>();
  /** Places of what was published with a key, where no store keeps them. The oldest first. */
  readonly #places = new Map<string, Place>();
  #closed = false;

  constructor(registry: Registry, delivery: Delivery, seats: ReadonlySet<ServerSeat>) {
    this.#registry = registry;
    this.#delivery = delivery;
    this.#permissions = new Permissions(registry, seats);
    this.#turns = new StoreTurns(registry.surroundings.limits.roomReadsMax);
    const port: ServerPort = {
      send: (message) => {
        if (message.type === "published") {
          const { receipt, offset, seq } = message;
          this.#settle(receipt, { ok: true, offset, seq });
        } else if (message.type === "unpublished") {
          this.#settle(message.receipt, { ok: false, code: message.code });
        }
      },
    };
    this.#seat = new ServerSeat(port, registry.surroundings.outbox);
    this.#seat.instance = "rooms over HTTP";
  }

  /* ---------------------------------------------------------------- RoomsPort */

  permit(question: RoomQuestion, done: (verdict: RoomVerdict) => void): () => void {
    if (!this.#closed) return this.#permissions.ask(question, done);
    done("later");
    return () => {};
  }

  begin(name: string, room: string, after: string | null, done: (reading: RoomReading | null) => void): void {
    if (this.#closed) {
      done(null);
      return;
    }
    const { outbox } = this.#registry.surroundings;
    outbox.run(() => {
      const namespace = this.#registry.stream(name);
      namespace.pipeline.run(() => {
        const there = !this.#closed && namespace.epoch !== "";
        done(there ? new Reading(this.#registry, this.#turns, namespace, room, after) : null);
      });
    });
  }

  publish(namespace: string, room: string, payload: Payload, key: string | null, done: Published): void {
    const { store, outbox } = this.#registry.surroundings;
    if (this.#closed) {
      done({ ok: false, code: "STORE_FAILED" });
      return;
    }
    const place = store === null && key !== null ? JSON.stringify([namespace, key]) : null;
    const known = place === null ? undefined : this.#places.get(place);
    if (known !== undefined) {
      done(known);
      return;
    }
    const receipt = this.#registry.next();
    this.#receipts.set(receipt, (published) => {
      if (place !== null && published.ok) this.#remember(place, published);
      done(published);
    });
    const to = { namespace, rooms: [room], except: [] };
    const flags = { volatile: false, compress: true, answers: null, timeoutMs: 0 };
    outbox.run(() => this.#delivery.emit(this.#seat, { type: "emit", to, payload, ...flags, receipt, key }));
  }

  /* ---------------------------------------------------------------- what servers say */

  open(seat: ServerSeat, { namespace: name, rooms, recall }: Extract<ToHub, { type: "open" }>): void {
    const namespace = this.#registry.stream(name);
    namespace.pipeline.run(() => {
      namespace.readers ??= new Readers(namespace.lastSeq);
      if (recall) namespace.readers.recall();
    });
    if (rooms) this.#permissions.open(seat, name);
    else this.#permissions.shut(seat, name);
  }

  permitted(seat: ServerSeat, { ask, allowed, forAll }: Extract<ToHub, { type: "permitted" }>): void {
    this.#permissions.answer(seat, ask, allowed, forAll);
  }

  leaving(seat: ServerSeat): void {
    this.#permissions.leaving(seat);
  }

  gone(seat: ServerSeat): void {
    this.#permissions.gone(seat);
  }

  /** Whoever waits is told to come again. */
  close(): void {
    this.#closed = true;
    this.#permissions.close();
    const fault: PublishFault = "STORE_FAILED";
    for (const receipt of [...this.#receipts.keys()]) this.#settle(receipt, { ok: false, code: fault });
  }

  #settle(receipt: number, published: RoomPublished): void {
    const done = this.#receipts.get(receipt);
    this.#receipts.delete(receipt);
    done?.(published);
  }

  #remember(key: string, place: Place): void {
    this.#places.set(key, place);
    if (this.#places.size <= this.#registry.surroundings.limits.roomKeysMax) return;
    const [oldest] = this.#places.keys();
    if (oldest !== undefined) this.#places.delete(oldest);
  }
}
