/**
 * Emits on their way to clients. Plain ones are appended to the namespace's stream and fan out when they are committed;
 * volatile ones, and those that want answers, are not stored, but keep their place in the order.
 */
import { appendOffset, encodeAck, encodeEvent } from "@tideway/wire/socketio";
import type { Answers } from "./answers.ts";
import type { Committed, Payload, PublishFault, ToHub } from "./contract.ts";
import type { Departures } from "./departures.ts";
import type { Namespace } from "./namespace.ts";
import { encodeOffset } from "./offsets.ts";
import { Packet, payloadWeight } from "./outgoing.ts";
import { type Readers, roomEvent } from "./readers.ts";
import { RecentEvent } from "./recent.ts";
import type { Registry } from "./registry.ts";
import type { RoomEvent } from "./room-contract.ts";
import type { ServerSeat } from "./seat.ts";
import type { Sessions } from "./sessions.ts";

type Emit = Extract<ToHub, { type: "emit" }>;

export class Delivery {
  readonly #registry: Registry;
  readonly #sessions: Sessions;
  readonly #answers: Answers;
  readonly #departures: Departures;

  constructor(registry: Registry, sessions: Sessions, answers: Answers, departures: Departures) {
    this.#registry = registry;
    this.#sessions = sessions;
    this.#answers = answers;
    this.#departures = departures;
  }

  emit(seat: ServerSeat, emit: Emit): void {
    const { limits, store } = this.#registry.surroundings;
    this.#registry.counters.emits++;
    const weight = payloadWeight(emit.payload);
    const namespace = this.#registry.stream(emit.to.namespace);
    if (weight > limits.emitBytesMax) {
      this.#refuse(seat, emit, "TOO_LARGE");
    } else if (namespace.pendingWeight + weight > limits.pendingBytesMax && namespace.pendingWeight > 0) {
      this.#refuse(seat, emit, "STORE_FULL");
    } else if (store !== null && !emit.volatile && emit.answers === null) {
      this.#append(seat, namespace, emit, weight);
    } else if (namespace.pipeline.idle) {
      this.#sendUnstored(seat, namespace, emit);
    } else {
      namespace.pendingWeight += weight;
      namespace.pipeline.run(() => {
        namespace.pendingWeight -= weight;
        this.#sendUnstored(seat, namespace, emit);
      });
    }
  }

  /**
   * A server's answer to a client's event: behind what the server emitted before, and so behind its commit. An answer whose
   * place is forgotten cannot reach the client.
   */
  reply(socketId: string, ack: number, payload: Payload): void {
    const socket = this.#registry.sockets.get(socketId);
    if (socket === undefined) return;
    const id = socket.acks?.get(ack);
    if (id === undefined) {
      if (ack <= socket.forgottenAck) this.#departures.leaveWaiting(socket);
      return;
    }
    socket.acks?.delete(ack);
    socket.owed?.delete(ack);
    const { json, attachments } = payload;
    const packet = new Packet(
      encodeAck(socket.namespace, id, json, attachments.length),
      attachments,
      false,
      true,
      true,
    );
    this.#registry.namespace(socket.namespace).pipeline.run(() => socket.sink.send(packet));
  }

  #append(seat: ServerSeat, namespace: Namespace, emit: Emit, weight: number): void {
    const { store } = this.#registry.surroundings;
    const { rooms, except } = emit.to;
    const { payload, key } = emit;
    namespace.pendingWeight += weight;
    namespace.pipeline.ask<Committed>(
      (done) => {
        this.#sessions.saveUnsaved(namespace);
        store?.append(namespace.name, { rooms, except, payload, key }, done);
      },
      (committed) => {
        namespace.pendingWeight -= weight;
        this.#committed(seat, namespace, emit, committed);
      },
    );
  }

  #committed(seat: ServerSeat, namespace: Namespace, emit: Emit, committed: Committed): void {
    if (!committed.ok) {
      this.#refuse(seat, emit, committed.fault);
      return;
    }
    const { seq, at, duplicate } = committed;
    if (!duplicate) {
      namespace.lastSeq = seq;
      this.#tookPlace(namespace, emit, at);
    }
    this.#receipt(seat, namespace, emit, seq, duplicate);
  }

  #sendUnstored(seat: ServerSeat, namespace: Namespace, emit: Emit): void {
    if (emit.answers !== null) {
      this.#answers.ask(namespace, seat, emit, emit.answers);
    } else {
      const { store, clock } = this.#registry.surroundings;
      if (store === null && !emit.volatile) {
        // Without a store the sequence counts this hub's plain emits, for receipts and for readers of rooms.
        namespace.lastSeq++;
        this.#tookPlace(namespace, emit, clock.wall());
      } else {
        this.#fanOut(namespace, emit);
        if (namespace.readers !== null)
          this.#tellReaders(namespace.readers, emit, roomEvent("", clock.wall(), emit.payload), 0);
      }
    }
    this.#receipt(seat, namespace, emit, namespace.lastSeq, false);
  }

  /** The event is the namespace's last. */
  #tookPlace(namespace: Namespace, emit: Emit, at: number): void {
    const packet = this.#fanOut(namespace, emit);
    const { readers, lastSeq: seq } = namespace;
    const { rooms, except } = emit.to;
    const { recent, surroundings } = this.#registry;
    if (!surroundings.recovery && readers === null) return;
    const event = readers === null || rooms.length === 0 ? null : roomEvent(namespace.offset, at, emit.payload);
    recent.keep(namespace.recent, new RecentEvent({ seq, rooms, except }, packet, event));
    if (readers !== null && event !== null) this.#tellReaders(readers, emit, event, seq);
  }

  #tellReaders(readers: Readers, emit: Emit, event: RoomEvent, seq: number): void {
    this.#registry.counters.deliveries += readers.deliver(emit.to, event, seq);
  }

  #fanOut(namespace: Namespace, emit: Emit): Packet {
    const { json, attachments } = emit.payload;
    // Volatile ones get the offset too: the stock client takes any trailing string for one.
    const text = this.#registry.surroundings.recovery ? appendOffset(json, namespace.offset) : json;
    const { volatile, compress } = emit;
    const encoded = encodeEvent(namespace.name, null, text, attachments.length);
    const packet = new Packet(encoded, attachments, volatile, compress);
    this.#registry.counters.deliveries += namespace.send(emit.to, packet);
    return packet;
  }

  #receipt(seat: ServerSeat, namespace: Namespace, emit: Emit, seq: number, duplicate: boolean): void {
    const { receipt } = emit;
    if (receipt === null) return;
    const offset = encodeOffset(namespace.epoch, seq);
    this.#registry.surroundings.outbox.push(seat.port, { type: "published", receipt, offset, seq, duplicate });
  }

  #refuse(seat: ServerSeat, emit: Emit, code: PublishFault): void {
    const { outbox, logger } = this.#registry.surroundings;
    this.#registry.counters.refusedEmits++;
    const { receipt, answers, to } = emit;
    if (receipt !== null) outbox.push(seat.port, { type: "unpublished", receipt, code });
    else logger.error({ code, namespace: to.namespace, instance: seat.instance }, "hub: an emit was not taken");
    if (answers !== null) outbox.push(seat.port, { type: "answered", emit: answers, expected: 0, missing: 0 });
  }
}
