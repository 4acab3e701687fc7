/** Rooms over plain HTTP as the hub serves them: who may, and publishing. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { decodeOffset, type Hub, type RoomFollower, type RoomQuestion, type RoomVerdict } from "./index.ts";
import {
  begin,
  FakeClient,
  FakeServer,
  handshake,
  eventNames as names,
  opener,
  payloadOf,
  read,
  recovering,
  scene,
} from "./testing.ts";

suite("who may", () => {
  const question: RoomQuestion = { namespace: "/", room: "a", action: "read", event: "", handshake };

  function ask(hub: Hub, more: Partial<RoomQuestion> = {}): { verdict: RoomVerdict | null; cancel: () => void } {
    const asked: { verdict: RoomVerdict | null; cancel: () => void } = { verdict: null, cancel: () => {} };
    asked.cancel = hub.rooms.permit({ ...question, ...more }, (verdict) => {
      asked.verdict = verdict;
    });
    return asked;
  }

  test("a server that opened rooms of the namespace is asked, with all that it needs to decide", () => {
    const { hub } = scene();
    const asked: RoomQuestion[] = [];
    opener(hub, "one", (given) => {
      asked.push(given);
      return given.room === "a";
    });
    assert.equal(ask(hub).verdict, "yes");
    assert.equal(ask(hub, { room: "b", action: "publish", event: "said" }).verdict, "no");
    const { room, action, event, handshake: seen } = asked[1]!;
    assert.deepEqual([room, action, event, seen], ["b", "publish", "said", handshake]);
  });

  test("what nobody has opened is refused; so is what was shut", () => {
    const { hub } = scene();
    const server = opener(hub);
    assert.equal(ask(hub, { namespace: "/x" }).verdict, "no");
    server.port.send({ type: "open", namespace: "/", rooms: false, recall: true });
    assert.equal(ask(hub).verdict, "no");
  });

  test("servers are asked in turn", () => {
    const { hub } = scene();
    const asked: string[] = [];
    for (const instance of ["one", "two"]) {
      opener(hub, instance, () => {
        asked.push(instance);
        return true;
      });
    }
    for (let n = 0; n < 4; n++) assert.equal(ask(hub).verdict, "yes");
    assert.deepEqual(asked, ["one", "two", "one", "two"]);
  });

  test("what holds for every client is asked once, until something changes", () => {
    const { hub } = scene();
    const server = new FakeServer(hub);
    let questions = 0;
    server.onMessage = (message) => {
      if (message.type !== "permit") return;
      questions++;
      const allowed = message.action === "read";
      server.port.send({ type: "permitted", ask: message.ask, allowed, forAll: true });
    };
    const open = () => server.port.send({ type: "open", namespace: "/", rooms: true, recall: false });
    open();
    for (let n = 0; n < 3; n++) assert.equal(ask(hub).verdict, "yes");
    for (let n = 0; n < 3; n++) assert.equal(ask(hub, { action: "publish", event: `${n}` }).verdict, "no");
    assert.equal(questions, 2);
    open();
    ask(hub);
    assert.equal(questions, 3);
  });

  test("with no server there a question waits for one; after 10 s its client is told to come again", () => {
    const { hub, clock } = scene();
    const first = ask(hub);
    assert.equal(first.verdict, null);
    opener(hub);
    assert.equal(first.verdict, "yes");
    const { hub: empty, clock: time } = scene();
    const second = ask(empty);
    time.advance(9_999);
    assert.equal(second.verdict, null);
    time.advance(1);
    assert.equal(second.verdict, "later");
    assert.equal(clock.now(), 0);
  });

  test("a server that dies, or leaves, while it is asked: the next one is", () => {
    const { hub } = scene();
    const first = opener(hub, "one", () => null);
    const asked = ask(hub);
    assert.equal(asked.verdict, null);
    first.port.gone();
    assert.equal(asked.verdict, null, "another may come");
    opener(hub, "two");
    assert.equal(asked.verdict, "yes");
    const leaving = opener(hub, "three", () => null);
    leaving.port.send({ type: "leaving" });
    assert.equal(ask(hub).verdict, "yes");
  });

  test("a server that leaves may still answer what it was asked", () => {
    const { hub } = scene();
    const server = opener(hub, "one", () => null);
    const asked = ask(hub);
    server.port.send({ type: "leaving" });
    const [permit] = server.take("permit");
    server.port.send({ type: "permitted", ask: permit!.ask, allowed: true, forAll: false });
    assert.equal(asked.verdict, "yes");
  });

  test("while another server of the application stays, one that opened no rooms does not refuse them for the handover's time", () => {
    const { hub, clock } = scene({ handoverMs: 5_000 });
    const first = opener(hub, "one");
    new FakeServer(hub, "still starting");
    first.port.gone();
    const asked = ask(hub);
    clock.advance(4_000);
    assert.equal(asked.verdict, null);
    clock.advance(1_000);
    assert.equal(asked.verdict, "no", "it is not to be, then");
    assert.equal(ask(hub).verdict, "no");
  });

  test("an answer counts once, from whom was asked, and not to a client that has gone", () => {
    const { hub } = scene();
    const server = opener(hub, "one", () => null);
    const other = opener(hub, "two", () => null);
    const asked = ask(hub);
    const [permit] = server.take("permit");
    other.port.send({ type: "permitted", ask: permit!.ask, allowed: true, forAll: false });
    assert.equal(asked.verdict, null);
    asked.cancel();
    server.port.send({ type: "permitted", ask: permit!.ask, allowed: true, forAll: false });
    assert.equal(asked.verdict, null);
  });

  test("questions that wait are bounded, and those of a hub that closes are told to come again", () => {
    const { hub } = scene({ limits: { roomQuestionsMax: 1 } });
    const first = ask(hub);
    assert.equal(ask(hub).verdict, "later");
    hub.close();
    assert.equal(first.verdict, "later");
    assert.equal(ask(hub).verdict, "later");
  });

  test("those who read are told when they must be asked about again", () => {
    const { hub } = scene();
    const server = opener(hub);
    const reading = begin(hub, null);
    let recalled = 0;
    const follower: RoomFollower = { onEvent() {}, onRecall: () => recalled++ };
    read(reading);
    reading.follow(follower);
    server.port.send({ type: "open", namespace: "/", rooms: true, recall: false });
    assert.equal(recalled, 0);
    server.port.send({ type: "open", namespace: "/", rooms: true, recall: true });
    assert.equal(recalled, 1);
  });
});

suite("publishing", () => {
  test("an event reaches sockets and readers of the room with one offset, which its publisher is told", () => {
    const { hub, server } = recovering();
    opener(hub, "two");
    const client = new FakeClient(hub).connect();
    server.join(client.sid, "a");
    let published: unknown;
    hub.rooms.publish("/", "a", payloadOf("said", 1), null, (result) => {
      published = result;
    });
    client.read();
    assert.deepEqual(client.events.at(-1), '["said",1]');
    const { events } = read(begin(hub, "0"));
    assert.deepEqual(published, { ok: true, offset: client.offset, seq: 1 });
    assert.equal(events[0]?.offset, client.offset);
  });

  test("its publisher hears of it after the commit", () => {
    const { hub, store } = recovering();
    opener(hub, "two");
    begin(hub, null);
    store.quick = false;
    let published = 0;
    hub.rooms.publish("/", "a", payloadOf("said"), null, () => published++);
    assert.equal(published, 0);
    store.release();
    assert.equal(published, 1);
  });

  test("the same key again is answered with the first place, and published once; with a store and without", () => {
    for (const store of [undefined, null] as const) {
      const { hub } = scene(store === null ? { store } : {});
      opener(hub);
      const places: unknown[] = [];
      const publish = (key: string) => {
        hub.rooms.publish("/", "a", payloadOf(key), key, (result) => places.push(result));
      };
      for (const key of ["k", "k", "l", "k"]) publish(key);
      assert.deepEqual(places[1], places[0]);
      assert.deepEqual(places[3], places[0]);
      assert.notDeepEqual(places[2], places[0]);
      assert.deepEqual(names(read(begin(hub, "0")).events), ["k", "l"]);
    }
  });

  test("what is too large is refused with a reason, and nobody gets it", () => {
    const { hub } = recovering({ limits: { emitBytesMax: 100 } });
    opener(hub, "two");
    let published: unknown;
    hub.rooms.publish("/", "a", payloadOf("x".repeat(200)), null, (result) => {
      published = result;
    });
    assert.deepEqual(published, { ok: false, code: "TOO_LARGE" });
    assert.deepEqual(read(begin(hub, "0")).events, []);
  });
});

test("a server that asks where the stream is gets the place behind what it said before", () => {
  const { server, store } = recovering();
  server.emit(["a"], ["1"]);
  store.quick = false;
  server.emit(["a"], ["2"]);
  server.port.send({ type: "where", request: 7, namespace: "/" });
  assert.deepEqual(server.take("place"), []);
  store.release();
  const [place] = server.take("place");
  assert.equal(place?.request, 7);
  assert.equal(decodeOffset(place?.offset)?.seq, 2);
});
