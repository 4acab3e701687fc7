/**
 * A stream of server-sent events from a room (WHATWG HTML §9.2): history page by page as fast as the client takes it, then
 * each event at the end of the tick in which it took effect, one write per tick.
 *
 * A client that does not take what it is given holds up nobody and costs no memory beyond its connection's: the stream stops
 * following, and goes on from its place in the log when there is room. One that takes nothing for too long is closed, and comes
 * back with `Last-Event-ID` if it can.
 *
 * Every place is told: an event's own, where the stream begins, and with a heartbeat how far the stream has come meanwhile. So
 * a client of a quiet room does not come back from a place that is not kept any more.
 */
import type { Timer } from "@tideway/base";
import { payloadWeight, type RoomEvent, type RoomReading } from "@tideway/engine/hub";
import { encodeComment, encodeMessage, encodePlace, encodeRetry } from "@tideway/wire/eventstream";
import { RoomReader } from "./reader.ts";
import { ownPrefix } from "./requests.ts";

const streamFields: readonly string[] = Object.freeze([
  "content-type",
  "text/event-stream; charset=utf-8",
  // Nobody on the way may hold back what is written.
  "cache-control",
  "no-store, no-transform",
  "x-accel-buffering",
  "no",
]);

const beatMs = 15_000;
/** After so long it ends, and its client comes back and is asked about again. With up to a tenth less, so that not all come at once. */
const lifeMs = 60 * 60 * 1000;
/** Clients come back after one to three seconds, each after its own: not all at once. */
const retryMs = 1_000;
/** While no server can say whether it may. */
const retryLaterMs = 5_000;
/** A client that takes nothing for so long is closed. */
const slowMs = 30_000;
const pageEventsMax = 100;
const pageBytesMax = 64 * 1024;

const COMMENT = Buffer.from(encodeComment());

export class Stream extends RoomReader {
  #pending: RoomEvent[] = [];
  #pendingBytes = 0;
  /** The head is out. */
  #open = false;
  #blocked = false;
  #paging = false;
  #following = false;
  #recalled = false;
  #told = "";
  #beat: Timer | null = null;
  #slow: Timer | null = null;
  #openedAt = 0;
  #endsAt = 0;
  #events = 0;
  #bytes = 0;
  #gaps = 0;

  protected begun(reading: RoomReading): void {
    const { clock, counters, random } = this.host;
    counters.sse++;
    this.#openedAt = clock.now();
    this.#endsAt = this.#openedAt + lifeMs * (1 - random.fraction() / 10);
    this.#head();
    let first = encodeRetry(Math.round(retryMs * (1 + 2 * random.fraction())));
    // Without it, a client that got nothing would come back without a place, and to another "now".
    if (this.read.after === null) first += this.#place(reading);
    this.#write(Buffer.from(first));
    this.#beat = clock.after(beatMs, () => this.#onBeat());
    this.#pump();
  }

  #head(): void {
    const { exchange, fields } = this.request;
    this.#open = true;
    exchange.respond(200, [...streamFields, ...fields], -1);
  }

  #place(reading: RoomReading): string {
    this.#told = reading.offset;
    return encodePlace(this.#told);
  }

  /** Goes on by pages, until there is no room or nothing more: then by following. */
  #pump(): void {
    const { reading } = this;
    if (this.over || reading === null || this.#blocked || this.#paging || this.#following || this.#pending.length > 0)
      return;
    this.#paging = true;
    reading.read(pageEventsMax, pageBytesMax, ({ events, gap, last }) => {
      this.#paging = false;
      if (this.over) return;
      if (gap) this.#sayGap(reading, events.length === 0);
      if (events.length > 0) this.#send(events);
      if (last && !this.#blocked) this.#following = reading.follow(this);
      // One page in a tick: others have their turn.
      if (!this.#following) this.host.flushLater(this);
    });
  }

  #unfollow(): void {
    this.#following = false;
    this.reading?.unfollow();
  }

  #sayGap(reading: RoomReading, alone: boolean): void {
    this.#gaps++;
    this.host.counters.roomGaps++;
    const data = JSON.stringify({ after: this.#told === "" ? this.read.after : this.#told });
    const message = encodeMessage({ event: `${ownPrefix}gap`, data });
    this.#write(Buffer.from(alone ? message + this.#place(reading) : message));
  }

  onEvent(event: RoomEvent): void {
    if (this.#pending.push(event) === 1) this.host.flushLater(this);
    this.#pendingBytes += payloadWeight(event.payload);
    // More in one tick than may wait: this is given, and the rest is read from the log as there is room.
    if (this.#pendingBytes > this.host.settings.outQueueBytesMax) this.#unfollow();
  }

  flush(): void {
    if (this.over) return;
    if (this.#pending.length > 0) {
      const events = this.#pending;
      this.#pending = [];
      this.#pendingBytes = 0;
      this.#send(events);
    }
    if (this.#recalled) this.#end("recalled");
    else this.#pump();
  }

  #send(events: readonly RoomEvent[]): void {
    const { counters, encoder } = this.host;
    this.#events += events.length;
    counters.roomEvents.sse += events.length;
    const placed = events.findLast(({ offset }) => offset !== "");
    if (placed !== undefined) this.#told = placed.offset;
    this.#write(encoder.messages(events));
  }

  #write(bytes: Buffer): void {
    const { clock, counters } = this.host;
    this.#bytes += bytes.length;
    counters.bytesOut += bytes.length;
    if (this.request.exchange.write(bytes) || this.over || this.#blocked) return;
    this.#blocked = true;
    this.#unfollow();
    this.#slow = clock.after(slowMs, () => {
      counters.slowConsumers++;
      this.#leave("slow consumer");
      this.request.exchange.abort();
    });
  }

  onDrain(): void {
    if (!this.#blocked || this.over) return;
    this.#blocked = false;
    this.#slow?.cancel();
    this.#pump();
  }

  #onBeat(): void {
    const { reading } = this;
    const { clock } = this.host;
    if (this.over || reading === null) return;
    if (clock.now() >= this.#endsAt) {
      this.#end("its time was over");
      return;
    }
    this.#beat = clock.after(beatMs, () => this.#onBeat());
    // What is still to be flushed has its own places.
    if (this.#blocked || this.#pending.length > 0) return;
    const moved = this.#following && reading.offset !== this.#told;
    this.#write(moved ? Buffer.from(this.#place(reading)) : COMMENT);
  }

  onRecall(): void {
    this.#recalled = true;
    this.host.flushLater(this);
  }

  stop(): void {
    if (this.#open) this.#end("server shutting down");
    else this.refuseForNow();
  }

  onClose(): void {
    this.#leave("transport close");
  }

  /** A browser's EventSource takes any status but 200 for an end for good: an empty stream says when to come again. */
  protected refuseForNow(): void {
    if (this.over) return;
    this.leave();
    const { exchange } = this.request;
    this.#head();
    exchange.write(Buffer.from(encodeRetry(retryLaterMs)));
    exchange.end();
  }

  #end(reason: string): void {
    if (this.over) return;
    if (this.#pending.length > 0) this.#send(this.#pending.splice(0));
    this.#leave(reason);
    this.request.exchange.end();
  }

  #leave(reason: string): void {
    if (this.over) return;
    this.#beat?.cancel();
    this.#slow?.cancel();
    this.leave();
    if (!this.#open) return;
    const { clock, counters, logger } = this.host;
    counters.sse--;
    const { namespace, room } = this.request.question;
    const forMs = Math.round(clock.now() - this.#openedAt);
    const { address } = this;
    const life = {
      address,
      namespace,
      room,
      reason,
      forMs,
      events: this.#events,
      gaps: this.#gaps,
      bytesOut: this.#bytes,
    };
    logger.info(life, "room stream closed");
  }
}
