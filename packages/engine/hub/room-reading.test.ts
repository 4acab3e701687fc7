/** Readings: what was, page by page, and what comes; with nothing missing, nothing twice, and gaps where they are. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import {
  decodeOffset,
  encodeOffset,
  MemoryStore,
  type RoomEvent,
  type RoomFollower,
  type RoomPage,
  type RoomReading,
} from "./index.ts";
import { begin, FakeServer, eventNames as names, opener, read, recovering, scene } from "./testing.ts";

class Follower implements RoomFollower {
  readonly events: RoomEvent[] = [];
  recalled = 0;
  onEvent(event: RoomEvent): void {
    this.events.push(event);
  }
  onRecall(): void {
    this.recalled++;
  }
}

suite("reading", () => {
  test("a page holds the room's events from the place on, and says where it ends", () => {
    const { hub, server } = recovering();
    opener(hub, "two");
    server.emit(["a"], ["1"]);
    server.emit(["b"], ["other"]);
    server.emit(["b", "a"], ["2"]);
    server.emit([], ["everybody"]);
    server.emit(["a"], ["but not those in a"], { to: { namespace: "/", rooms: ["a"], except: ["a"] } });
    server.emit(["a"], ["3"], { to: { namespace: "/", rooms: ["a"], except: ["b"] } });
    const all = read(begin(hub, "0"));
    assert.deepEqual([names(all.events), all.gap, all.last], [["1", "2", "3"], false, true]);
    const rest = read(begin(hub, all.events[0]!.offset));
    assert.deepEqual(names(rest.events), ["2", "3"]);
    const none = read(begin(hub, null));
    assert.deepEqual([names(none.events), none.gap, none.last], [[], false, true]);
  });

  test("pages end at their bounds, and go on where they ended, from the store as from memory", () => {
    for (const limits of [{}, { recentBytesMax: 0 }, { recentBytesMax: 0, roomReadEvents: 2 }]) {
      const { hub, server } = recovering({ limits });
      opener(hub, "two");
      for (let n = 1; n <= 7; n++) server.emit([n === 4 ? "b" : "a"], [`${n}`]);
      const reading = begin(hub, "0");
      const seen: string[] = [];
      let page = read(reading, 2);
      for (; !page.last; page = read(reading, 2)) {
        assert.ok(page.events.length <= 2);
        seen.push(...names(page.events));
      }
      seen.push(...names(page.events));
      assert.deepEqual(seen, ["1", "2", "3", "5", "6", "7"]);
      assert.equal(read(begin(hub, "0"), 100, 1).events.length, 1, "one event at least, whatever its size");
    }
  });

  test("who follows gets each event of the room as it takes effect, with the place behind it", () => {
    const { hub, server } = recovering();
    opener(hub, "two");
    const reading = begin(hub, null);
    const follower = new Follower();
    assert.equal(read(reading).last, true);
    assert.equal(reading.follow(follower), true);
    server.emit(["a"], ["1"]);
    server.emit(["b"], ["other"]);
    server.emit(["a", "a"], ["2"]);
    assert.deepEqual(names(follower.events), ["1", "2"]);
    assert.equal(decodeOffset(follower.events[1]!.offset)?.seq, 3);
    assert.equal(reading.offset, follower.events[1]!.offset);
    server.emit(["b"], ["other"]);
    assert.equal(decodeOffset(reading.offset)?.seq, 4, "what is not the room's is behind it too");
    reading.unfollow();
    server.emit(["a"], ["3"]);
    assert.deepEqual(names(follower.events), ["1", "2"]);
    assert.deepEqual(names(read(reading).events), ["3"]);
  });

  test("volatile events reach those who follow, and name no place; those that want answers reach nobody", () => {
    const { hub, server } = recovering();
    opener(hub, "two");
    const reading = begin(hub, null);
    const follower = new Follower();
    read(reading);
    reading.follow(follower);
    server.emit(["a"], ["now"], { volatile: true });
    server.emit(["a"], ["well?"], { answers: 1, timeoutMs: 10 });
    server.emit(["a"], ["kept"]);
    assert.deepEqual(names(follower.events), ["now", "kept"]);
    assert.equal(follower.events[0]?.offset, "");
    assert.deepEqual(names(read(begin(hub, "0")).events), ["kept"]);
  });

  test("an event that is not committed has not happened", () => {
    const { hub, server, store } = recovering();
    opener(hub, "two");
    const reading = begin(hub, null);
    const follower = new Follower();
    read(reading);
    reading.follow(follower);
    store.quick = false;
    server.emit(["a"], ["1"]);
    assert.deepEqual(follower.events, []);
    let late: RoomReading | null = null;
    hub.rooms.begin("/", "a", null, (made) => {
      late = made;
    });
    assert.equal(late, null, "now is behind what is under way");
    store.release();
    assert.deepEqual(names(follower.events), ["1"]);
    assert.deepEqual(names(read(late!).events), []);
  });

  test("a reader that stops following in the middle of a fan-out has its part of it still to come", () => {
    const { hub, server } = recovering();
    opener(hub, "two");
    const first = begin(hub, null);
    const second = begin(hub, null);
    const seen: string[] = [];
    const follower = (reading: RoomReading, other: RoomReading): RoomFollower => ({
      onEvent: (event) => {
        seen.push(...names([event]));
        // The other one has its part of the same fan-out still to come, or has had it.
        other.unfollow();
        assert.ok(reading.offset);
      },
      onRecall() {},
    });
    read(first);
    read(second);
    first.follow(follower(first, second));
    second.follow(follower(second, first));
    server.emit(["a"], ["1"]);
    server.emit(["a"], ["2"]);
    first.unfollow();
    second.unfollow();
    seen.push(...names(read(first).events), ...names(read(second).events));
    assert.deepEqual(seen.sort(), ["1", "1", "2", "2"]);
  });

  test("a place of which retention took what is behind it has a gap there, and then all that is left", () => {
    const { hub, server, clock } = recovering({ limits: { recentBytesMax: 0 } }, { retentionMs: 1_000 });
    opener(hub, "two");
    server.emit(["a"], ["1"]);
    const old = begin(hub, null).offset;
    server.emit(["a"], ["2"]);
    clock.advance(2_000);
    const nothing = read(begin(hub, old));
    assert.deepEqual([names(nothing.events), nothing.gap, nothing.last], [[], true, true]);
    server.emit(["a"], ["3"]);
    const page = read(begin(hub, old));
    assert.deepEqual([names(page.events), page.gap, page.last], [["3"], true, true]);
    const oldest = read(begin(hub, "0"));
    assert.deepEqual([names(oldest.events), oldest.gap], [["3"], false], "who asks for the oldest misses nothing");
  });

  test("a gap that opens under a slow reader is said where it is", () => {
    const { hub, server, clock } = recovering(
      { limits: { recentBytesMax: 0, roomReadEvents: 2 } },
      { retentionMs: 1_000 },
    );
    opener(hub, "two");
    for (let n = 1; n <= 4; n++) server.emit(["a"], [`${n}`]);
    const reading = begin(hub, "0");
    assert.deepEqual(names(read(reading).events), ["1", "2"]);
    clock.advance(2_000);
    server.emit(["a"], ["5"]);
    const page = read(reading);
    assert.deepEqual([names(page.events), page.gap], [["5"], true]);
  });

  test("a place of another stream, ahead of this one, or none at all has a gap, and then the oldest", () => {
    const { hub, server } = recovering();
    opener(hub, "two");
    server.emit(["a"], ["1"]);
    const { epoch } = decodeOffset(begin(hub, null).offset)!;
    for (const foreign of ["other.1", encodeOffset(epoch, 99), "", "garbage", "1", "-1", `${epoch}.01`]) {
      const page = read(begin(hub, foreign));
      assert.deepEqual([names(page.events), page.gap], [["1"], true], foreign);
      const again = read(begin(hub, page.events[0]!.offset));
      assert.deepEqual([names(again.events), again.gap], [[], false], "said once");
    }
  });

  test("without a store the last events since rooms were opened are at hand, and what was before is a gap", () => {
    const { hub } = scene({ store: null });
    const early = new FakeServer(hub, "early");
    early.emit(["a"], ["before"]);
    const server = opener(hub);
    const place = begin(hub, null).offset;
    server.emit(["a"], ["1"]);
    server.emit(["b"], ["other"]);
    server.emit(["a"], ["2"]);
    hub.assertInvariants();
    const page = read(begin(hub, place));
    assert.deepEqual([names(page.events), page.gap, page.last], [["1", "2"], false, true]);
    const oldest = read(begin(hub, "0"));
    assert.deepEqual([names(oldest.events), oldest.gap], [["1", "2"], false]);
    const { epoch } = decodeOffset(place)!;
    const older = read(begin(hub, encodeOffset(epoch, 0)));
    assert.deepEqual([names(older.events), older.gap], [["1", "2"], true]);
  });

  test("only so many reads of the store run at once; those whose readers have gone make room", () => {
    const { hub, server, store } = recovering({ limits: { recentBytesMax: 0, roomReadsMax: 2 } });
    opener(hub, "two");
    server.emit(["a"], ["1"]);
    store.quick = false;
    const pages: RoomPage[] = [];
    const readings = Array.from({ length: 5 }, () => begin(hub, "0"));
    for (const reading of readings) reading.read(10, 1e9, (page) => pages.push(page));
    assert.equal(store.waiting, 2);
    readings[0]!.close();
    readings[2]!.close();
    store.release(1);
    assert.deepEqual([pages.length, store.waiting], [0, 2], "its turn is the next but one's");
    store.release();
    store.release();
    assert.equal(pages.length, 3);
    for (const page of pages) assert.deepEqual(names(page.events), ["1"]);
  });
});

test("readers that begin, page, follow, fall behind and resume at random miss nothing and get nothing twice", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const durable = seed % 3 > 0;
    const random = new SeededRandom(seed);
    const limits = { roomReadEvents: 3, roomReadsMax: 2, recentBytesMax: seed % 2 === 0 ? 2_000 : 8 * 1024 * 1024 };
    const made = durable ? recovering({ limits }) : { ...scene({ store: null }), store: null };
    const { hub } = made;
    const server = opener(hub, "opener");
    const expected: string[] = [];
    const below = (max: number) => Math.floor(random.fraction() * max);

    class Reader implements RoomFollower {
      readonly seen: string[] = [];
      #reading: RoomReading | null = null;
      #following = false;
      #busy = false;
      #place: string | null = null;

      onEvent(event: RoomEvent): void {
        this.#take([event]);
      }
      onRecall(): void {}

      #take(events: readonly RoomEvent[]): void {
        this.seen.push(...names(events));
        const last = events.at(-1);
        if (last !== undefined) this.#place = last.offset;
      }

      step(): void {
        if (this.#busy) return;
        if (this.#reading === null) {
          this.#busy = true;
          hub.rooms.begin("/", "a", this.#place ?? "0", (reading) => {
            this.#busy = false;
            this.#reading = reading;
          });
          return;
        }
        const choice = below(6);
        if (choice === 0) {
          // The connection breaks: what it was given last is all that it knows.
          this.#reading.close();
          this.#reading = null;
          this.#following = false;
        } else if (choice === 1) {
          this.#reading.unfollow();
          this.#following = false;
        } else if (choice === 2) {
          // A heartbeat names the place.
          this.#place = this.#reading.offset;
        } else if (!this.#following) {
          this.#page(this.#reading);
        }
      }

      #page(reading: RoomReading): void {
        this.#busy = true;
        reading.read(1 + below(4), 1e9, (page) => {
          this.#busy = false;
          assert.equal(page.gap, false, `seed ${seed}: nothing is trimmed`);
          this.#take(page.events);
          if (page.last && below(2) === 0) this.#following = reading.follow(this);
        });
      }

      get idle(): boolean {
        return !this.#busy;
      }

      finish(): void {
        this.#reading?.close();
        const reading = begin(hub, this.#place ?? "0");
        for (let last = false; !last; ) {
          reading.read(100, 1e9, (page) => {
            this.#take(page.events);
            last = page.last;
          });
        }
      }
    }

    const readers = Array.from({ length: 4 }, () => new Reader());
    if (made.store !== null) made.store.quick = false;
    for (let step = 0; step < 300; step++) {
      const choice = below(10);
      if (choice < 3) {
        const room = below(3) === 0 ? "b" : "a";
        server.emit([room], [`${step}`]);
        if (room === "a") expected.push(`${step}`);
      } else if (choice < 6) made.store?.release(1 + below(3));
      else readers[below(readers.length)]!.step();
      hub.assertInvariants();
    }
    if (made.store !== null) {
      made.store.release();
      made.store.quick = true;
    }
    for (const reader of readers) {
      reader.finish();
      assert.deepEqual(reader.seen, expected, `seed ${seed}`);
    }
  }
});

test("a memory store of its own is all that a hub needs for them", () => {
  const { clock, random } = scene();
  const { hub } = scene({ store: new MemoryStore({ clock, random }), recovery: false });
  const server = opener(hub);
  server.emit(["a"], ["1"]);
  assert.deepEqual(names(read(begin(hub, "0")).events), ["1"]);
});
