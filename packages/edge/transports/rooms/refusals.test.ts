/** Who is refused at a room's door, and that nobody learns more than that. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { RequestDoor, Verdict } from "@tideway/engine/hub";
import { FakeExchange } from "../testing.ts";
import { parsed, RoomStage } from "./testing.ts";

const seen = ({ status, fields, body }: FakeExchange) => ({ status, fields, body });

suite("what is not for a client", () => {
  const ways: [string, (stage: RoomStage, path: string, query: string) => FakeExchange][] = [
    ["poll", (stage, path, query) => stage.poll(query, { path })],
    ["long poll", (stage, path, query) => stage.poll(`${query}&wait=20`, { path })],
    ["HEAD", (stage, path, query) => stage.poll(query, { path, method: "HEAD" })],
    ["stream", (stage, path, query) => stage.stream(query, "", { path })],
    ["publish", (stage, path, query) => stage.publish({ event: "x" }, { path, query })],
  ];
  for (const [way, ask] of ways) {
    test(`${way}: a room that is not opened, not permitted, empty, or of no namespace is the same 404 as a path that is nothing`, () => {
      const stage = new RoomStage();
      stage.emit("closed", "secret");
      stage.rule = () => false;
      const answers = [
        ask(stage, "/socket.io/rooms/closed/events", "?after=0"),
        ask(stage, "/socket.io/rooms/never-heard-of/events", "?after=0"),
        ask(stage, "/socket.io/rooms/closed/events", "?after=0&nsp=/other"),
        ask(stage, "/socket.io/rooms/closed/nothing", "?after=0"),
      ];
      assert.equal(answers[0]!.status, 404);
      for (const answer of answers) assert.deepEqual(seen(answer), seen(answers[0]!));
    });
  }

  test("who may read need not be one who may publish, and the other way round", () => {
    const stage = new RoomStage();
    stage.rule = ({ action }) => action === "read";
    assert.equal(stage.poll().status, 200);
    assert.equal(stage.publish({ event: "x" }).status, 404);
    stage.rule = ({ action }) => action === "publish";
    assert.equal(stage.poll().status, 404);
    assert.equal(stage.publish({ event: "x" }).status, 201);
  });

  test("without a hub that offers them there are no rooms", () => {
    const stage = new RoomStage({ rooms: undefined as never });
    assert.equal(stage.poll().status, 404);
  });

  test("paths beside a room's are nothing", () => {
    const stage = new RoomStage();
    for (const path of [
      "/rooms",
      "/rooms/",
      "/rooms/a",
      "/rooms/a/",
      "/rooms//events",
      "/rooms/a/events/x",
      "/rooms/a/b/events",
    ]) {
      assert.equal(stage.poll("", { path: `/socket.io${path}` }).status, 404, path);
    }
    assert.equal(stage.poll("", { path: "/socket.io/rooms/a/events/" }).status, 200);
  });
});

suite("bad input", () => {
  test("what a query says wrongly is 400, whatever the room", () => {
    for (const allowed of [true, false]) {
      const stage = new RoomStage();
      stage.rule = () => allowed;
      const bad = [
        "after=",
        "after=x",
        "after=-1",
        "after=1",
        "after=a.b.c",
        "after=a.%00",
        `after=${"a".repeat(99)}.1`,
      ];
      bad.push(
        "wait=-1",
        "wait=x",
        "wait=1.5",
        "wait=",
        "wait=1e3",
        "wait=9999999999",
        "limit=0",
        "limit=-1",
        "limit=x",
      );
      bad.push(`nsp=${"x".repeat(600)}`, "nsp=/a%00", "nsp=/a,b");
      for (const query of bad) {
        assert.equal(stage.poll(`?${query}`).status, 400, query);
        if (!query.startsWith("wait")) assert.equal(stage.stream(`?${query}`).status, 400, query);
      }
    }
  });

  test("a room's name is UTF-8 and not too long", () => {
    const stage = new RoomStage();
    for (const room of ["%FF", "%E0%A4%A", "%", "a".repeat(513)]) {
      assert.equal(stage.poll("", { path: `/socket.io/rooms/${room}/events` }).status, 400, room);
    }
  });

  test("a place that is none of ours, where a browser brings it, is a gap and no fault", () => {
    const stage = new RoomStage();
    for (const id of ["garbage", "42", "a.b.c", "é", "x".repeat(5_000)]) {
      const exchange = stage.stream("", id);
      assert.equal(exchange.status, 200);
      assert.match(exchange.body, /event: tideway:gap\n/);
    }
  });

  test("methods that mean nothing here are 405, with those that do", () => {
    const stage = new RoomStage();
    for (const method of ["PUT", "DELETE", "PATCH", "TRACE", "get"]) {
      const exchange = stage.poll("", { method });
      assert.deepEqual([exchange.status, exchange.field("allow")], [405, "GET, HEAD, POST, OPTIONS"]);
    }
  });

  test("errors are JSON, a page or text, as the client likes it", () => {
    const stage = new RoomStage();
    const type = (accept: string) => stage.poll("?wait=x", { fields: ["accept", accept] }).field("content-type");
    assert.match(type("application/json")!, /^application\/json/);
    assert.match(type("text/html")!, /^text\/html/);
    assert.match(type("*/*")!, /^text\/plain/);
  });

  test("only who names it gets a stream", () => {
    const stage = new RoomStage();
    const type = (accept: string) => stage.poll("", { fields: ["accept", accept] }).field("content-type");
    for (const accept of ["text/event-stream", "application/json;q=0.1, Text/Event-Stream;q=0.5"]) {
      assert.match(type(accept)!, /^text\/event-stream/);
    }
    for (const accept of ["*/*", "text/*", "text/event-stream;q=0", "text/event-streams", "application/json"]) {
      assert.match(type(accept)!, /^application\/json/);
    }
  });
});

suite("bounds", () => {
  test("readers of one address, and in all; places are free again when they go", () => {
    const stage = new RoomStage({ roomReadersMax: 3, roomReadersPerAddressMax: 2 });
    const from = (address: string) => stage.stream("", "", { address });
    const first = from("192.0.2.1");
    from("192.0.2.1");
    const third = from("192.0.2.1");
    assert.deepEqual([third.status, third.field("retry-after")], [429, "5"]);
    const other = from("192.0.2.2");
    assert.equal(other.status, 200);
    const full = from("192.0.2.3");
    assert.deepEqual([full.status, full.field("retry-after")], [503, "5"]);
    first.vanish();
    assert.equal(from("192.0.2.1").status, 200);
    assert.equal(stage.transports.counters.refusedFull, 2);
  });

  test("polls that are answered and questions that are refused take no place", () => {
    const stage = new RoomStage({ roomReadersMax: 1 });
    for (let n = 0; n < 3; n++) assert.equal(stage.poll().status, 200);
    stage.rule = () => false;
    for (let n = 0; n < 3; n++) assert.equal(stage.stream().status, 404);
    stage.rule = () => null;
    const open = stage.poll();
    assert.equal(stage.poll().status, 503);
    open.vanish();
    stage.rule = () => true;
    assert.equal(stage.poll().status, 200);
  });

  test("private networks share an address", () => {
    const stage = new RoomStage({ roomReadersPerAddressMax: 1 });
    for (let n = 0; n < 3; n++) assert.equal(stage.stream("", "", { address: "127.0.0.1" }).status, 200);
  });
});

suite("pages of other sites", () => {
  const origin = (value: string) => ["origin", value];

  test("are refused by default, and not those of the same host", () => {
    const stage = new RoomStage();
    const refused = stage.poll("", { fields: origin("https://evil.test") });
    assert.equal(refused.status, 403);
    assert.equal(refused.field("access-control-allow-origin"), undefined);
    assert.equal(stage.publish({ event: "x" }, { fields: origin("https://evil.test") }).status, 403);
    assert.equal(stage.stream("", "", { fields: origin("null") }).status, 403);
    assert.equal(stage.poll("", { fields: origin("http://www.abc.test") }).status, 200);
  });

  test("of listed origins may, and may read the answers, errors as well", () => {
    const stage = new RoomStage({ origins: ["https://app.test"] });
    for (const exchange of [
      stage.poll("", { fields: origin("https://app.test") }),
      stage.poll("?wait=x", { fields: origin("https://app.test") }),
      stage.stream("", "", { fields: origin("https://app.test") }),
      stage.publish({ event: "x" }, { fields: origin("https://app.test") }),
    ]) {
      assert.equal(exchange.field("access-control-allow-origin"), "https://app.test");
      assert.equal(exchange.field("access-control-allow-credentials"), "true");
      assert.equal(exchange.field("vary"), "Origin");
    }
    assert.equal(stage.poll("", { fields: origin("https://evil.test") }).status, 403);
  });

  test("all of them may where any may, without cookies", () => {
    const stage = new RoomStage({ origins: "any" });
    const exchange = stage.poll("", { fields: origin("https://app.test") });
    assert.equal(exchange.field("access-control-allow-origin"), "*");
    assert.equal(exchange.field("access-control-allow-credentials"), undefined);
  });

  test("ask first, and are told what they may", () => {
    const preflight = (stage: RoomStage, from: string) =>
      stage.poll("", {
        method: "OPTIONS",
        fields: [
          ...origin(from),
          ...["access-control-request-method", "POST"],
          ...["access-control-request-headers", "content-type,idempotency-key"],
        ],
      });
    const listed = preflight(new RoomStage({ origins: ["https://app.test"] }), "https://app.test");
    assert.equal(listed.status, 204);
    assert.equal(listed.field("access-control-allow-origin"), "https://app.test");
    assert.equal(listed.field("access-control-allow-headers"), "content-type,idempotency-key");
    assert.match(listed.field("access-control-allow-methods")!, /POST/);
    const other = preflight(new RoomStage({ origins: ["https://app.test"] }), "https://evil.test");
    assert.equal(other.field("access-control-allow-origin"), undefined);
    const cors = preflight(new RoomStage({ cors: { origin: "https://cors.test", maxAge: 60 } }), "https://cors.test");
    assert.equal(cors.field("access-control-allow-origin"), "https://cors.test");
    assert.equal(cors.field("access-control-max-age"), "60");
  });

  test("that a function of `cors` allows may, and no others", () => {
    const stage = new RoomStage({
      cors: { origin: (from, decide) => decide(null, from === "https://app.test" ? from : false) },
    });
    const exchange = stage.poll("", { fields: origin("https://app.test") });
    assert.deepEqual([exchange.status, exchange.field("access-control-allow-origin")], [200, "https://app.test"]);
    assert.equal(stage.poll("", { fields: origin("https://evil.test") }).status, 403);
  });
});

test("the application is asked about a request as about a handshake, before it is asked about the room", () => {
  let verdict = false;
  const asked: string[] = [];
  const stage = new RoomStage({
    allowRequest: ({ url, method }, decide) => {
      asked.push(`${method} ${url}`);
      decide(verdict ? null : "go away", verdict);
    },
  });
  assert.equal(stage.poll("?after=0").status, 403);
  assert.equal(stage.asked.length, 0);
  verdict = true;
  assert.equal(parsed(stage.poll("?after=0")).gap, false);
  assert.equal(stage.publish({ event: "x" }).status, 201);
  assert.deepEqual(asked, [
    "GET /socket.io/rooms/a/events?after=0",
    "GET /socket.io/rooms/a/events?after=0",
    "POST /socket.io/rooms/a/events",
  ]);
});

test("an application elsewhere is shown the request first: its no is 403, its own answer is given, its silence is a later", () => {
  const none = { status: 0, message: "", session: "", granted: [], body: new Uint8Array(), origin: false };
  const pass = { ...none, fields: ["x-seen", "yes"] };
  let verdict: Verdict | null = null;
  let asks = 0;
  const door: RequestDoor = {
    ...{ asks: true, crowded: false, hears: false, wishes: "", over() {}, refused() {} },
    ask(_request, decide) {
      decide(verdict);
      return ++asks;
    },
  };
  const stage = new RoomStage({ door });
  assert.deepEqual([stage.poll().status, stage.publish({ event: "x" }).status], [503, 503]);
  const stream = stage.stream();
  assert.deepEqual([stream.status, stream.body, stream.done], [200, "retry: 5000\n\n", true]);
  verdict = { ...pass, outcome: "forbid" };
  assert.deepEqual([stage.poll().status, stage.poll().field("x-seen")], [403, "yes"]);
  verdict = { ...pass, outcome: "answer", status: 418, body: Buffer.from("tea") };
  assert.deepEqual([stage.stream().status, stage.stream().body], [418, "tea"]);
  assert.equal(stage.asked.length, 0, "nobody was asked about the room");
  verdict = { ...pass, outcome: "pass" };
  assert.deepEqual([stage.poll().status, stage.poll().field("x-seen")], [200, "yes"]);
  assert.equal(stage.publish({ event: "x" }).status, 201);
  const elsewhere = { fields: ["origin", "https://app.test"] };
  assert.equal(stage.poll("", elsewhere).status, 403);
  verdict = { ...pass, outcome: "pass", origin: true };
  assert.equal(stage.poll("", elsewhere).status, 200, "its rule is a function, and allows the page");
  const before = asks;
  verdict = { ...pass, outcome: "again" };
  stage.transports.handle(new FakeExchange({ path: "/socket.io/rooms/a/events", query: "" }));
  verdict = { ...pass, outcome: "pass" };
  stage.clock.settle();
  assert.equal(asks, before + 2, "asked again");
});

test("who comes to a crowded door waits behind those who wait, once, and is not judged; sessions that are there go on", () => {
  const again: Verdict = {
    ...{ outcome: "again", status: 0, message: "", session: "", origin: false },
    ...{ fields: [], granted: [], body: new Uint8Array() },
  };
  const decisions: ((verdict: Verdict | null) => void)[] = [];
  const door: RequestDoor = {
    ...{ asks: false, crowded: true, hears: false, wishes: "", over() {}, refused() {} },
    ask: (_request, decide) => decisions.push(decide),
  };
  const stage = new RoomStage({ door });
  const comes = (query: string, path = "/socket.io/") => {
    const exchange = new FakeExchange({ path, query });
    stage.transports.handle(exchange);
    return exchange;
  };
  const handshake = comes("EIO=4&transport=polling");
  assert.deepEqual([decisions.length, handshake.status], [1, 0]);
  decisions[0]!(again);
  assert.equal(handshake.status, 200);
  const { sid } = JSON.parse(handshake.body.slice(1)) as { sid: string };
  const poll = comes(`EIO=4&transport=polling&sid=${sid}`);
  assert.equal(comes("", "/socket.io/rooms/a/events").status, 200);
  assert.equal(decisions.length, 1, "nobody else has to wait");
  stage.transports.close();
  assert.equal(poll.status, 200, "it was a poll like any other");
});

test("what waits for an application elsewhere is answered with 503 when the service ends, once", () => {
  const decisions: ((verdict: Verdict | null) => void)[] = [];
  const door: RequestDoor = {
    ...{ asks: true, crowded: false, hears: false, wishes: "", over() {}, refused() {} },
    ask: (_request, decide) => decisions.push(decide),
  };
  const stage = new RoomStage({ door });
  const waiting = [
    { path: "/socket.io/", query: "EIO=4&transport=polling" },
    { path: "/socket.io/rooms/a/events", query: "" },
  ].map((asked) => new FakeExchange(asked));
  for (const exchange of waiting) stage.transports.handle(exchange);
  const statuses = () => waiting.map(({ status }) => status);
  assert.deepEqual([decisions.length, statuses()], [2, [0, 0]]);
  stage.transports.close();
  assert.deepEqual(statuses(), [503, 503]);
  for (const decide of decisions) decide(null);
  assert.deepEqual(statuses(), [503, 503]);
});

test("the handshake that the application decides by is the request's", () => {
  const stage = new RoomStage();
  stage.poll("?after=0&token=t", { fields: ["cookie", "s=1", "authorization", "Bearer x"], address: "192.0.2.9" });
  const { handshake } = stage.asked.at(-1)!;
  assert.deepEqual(
    [
      handshake.address,
      handshake.url,
      handshake.query["token"],
      handshake.headers["cookie"],
      handshake.headers["authorization"],
    ],
    ["192.0.2.9", "/socket.io/rooms/a/events?after=0&token=t", "t", "s=1", "Bearer x"],
  );
});
