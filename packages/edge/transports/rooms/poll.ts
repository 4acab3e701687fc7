/**
 * A poll of a room: answered with what is there; a long poll with nothing yet waits for the first event, and is answered at
 * the end of the tick in which it comes. The answer's `next` names the place from which to go on, whatever it holds.
 */
import type { Timer } from "@tideway/base";
import type { RoomEvent, RoomReading } from "@tideway/engine/hub";
import { answer, jsonFields } from "./answer.ts";
import { RoomReader } from "./reader.ts";

/** Pages without an event of the room after which a poll is answered with none: its client goes on from there. */
const emptyPagesMax = 40;

export class Poll extends RoomReader {
  readonly #events: RoomEvent[] = [];
  #bytes = 0;
  #gap = false;
  #emptyPages = 0;
  #timer: Timer | null = null;
  #waits = false;

  protected begun(reading: RoomReading): void {
    this.#page(reading);
  }

  #page(reading: RoomReading): void {
    const { pollBytesMax } = this.host.settings;
    reading.read(this.read.eventsMax, pollBytesMax, ({ events, gap, last }) => {
      if (this.over) return;
      this.#events.push(...events);
      this.#gap ||= gap;
      if (events.length > 0 || this.#gap || (last && this.read.waitMs === 0)) this.#answer();
      else if (last) this.#wait(reading);
      else if (++this.#emptyPages >= emptyPagesMax) this.#answer();
      else this.#page(reading);
    });
  }

  #wait(reading: RoomReading): void {
    if (!reading.follow(this)) {
      this.#page(reading);
      return;
    }
    this.#waits = true;
    this.host.counters.longPolls++;
    this.#timer = this.host.clock.after(this.read.waitMs, () => this.#answer());
  }

  onEvent(event: RoomEvent): void {
    // A volatile event is for those who are there: it has no place to go on from.
    if (event.offset === "") return;
    const { pollBytesMax } = this.host.settings;
    if (this.#events.length >= this.read.eventsMax || this.#bytes >= pollBytesMax) {
      this.reading?.unfollow();
      return;
    }
    if (this.#events.push(event) === 1) this.host.flushLater(this);
    this.#bytes += event.payload.json.length;
  }

  flush(): void {
    if (!this.over) this.#answer();
  }

  stop(): void {
    if (this.reading === null) this.refuseForNow();
    else this.#answer();
  }

  onRecall(): void {
    this.host.flushLater(this);
  }

  onDrain(): void {}

  onClose(): void {
    this.#leave();
  }

  protected refuseForNow(): void {
    this.refuse("HTTP_UNAVAILABLE");
  }

  #answer(): void {
    const { counters, encoder } = this.host;
    const { exchange, fields } = this.request;
    const offset = this.reading?.offset ?? "";
    // Behind what does not fit, an answer goes on from its last event.
    const cut = this.#waits && this.#events.length > 0;
    const next = cut ? (this.#events.at(-1)?.offset ?? offset) : offset;
    this.#leave();
    const events = this.#events.map((event) => encoder.json(event)).join(",");
    const body = `{"events":[${events}],"next":${JSON.stringify(next)},"gap":${this.#gap}}\n`;
    counters.roomEvents[this.read.wanted] += this.#events.length;
    if (this.#gap) counters.roomGaps++;
    counters.bytesOut += answer(exchange, 200, [...jsonFields, ...fields], body);
  }

  #leave(): void {
    if (this.over) return;
    this.#timer?.cancel();
    if (this.#waits) this.host.counters.longPolls--;
    this.leave();
  }
}
