/** Requests before servers: who is asked, and what holds while nobody is there to ask. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Logger, silentLogger } from "@tideway/base";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import type { HubPort, ToServer } from "./contract.ts";
import { Hub } from "./hub.ts";
import type { HubLimits } from "./limits.ts";
import type { ClientRequest, Verdict } from "./request-contract.ts";
import { FakeLine, handshake } from "./testing.ts";

const request: ClientRequest = {
  method: "GET",
  url: "/socket.io/?EIO=4&transport=polling",
  headers: {},
  address: "127.0.0.1",
  secure: false,
  opens: true,
  upgrade: false,
};
const pass = {
  outcome: "pass",
  status: 0,
  message: "",
  session: "",
  origin: false,
  fields: ["x-a", "1"],
  granted: [],
} as const;
const payload = { json: "", attachments: [] };

function open(limits: Partial<HubLimits> = {}) {
  const clock = new FakeClock();
  const warned: unknown[] = [];
  const logger = { ...silentLogger, warn: (fields: unknown) => void warned.push(fields) } as Logger;
  const hub = new Hub({ clock, random: new SeededRandom(1), store: null, limits, logger });
  const join = (asks: boolean | null, hears = false) => {
    const heard: ToServer[] = [];
    const port: HubPort = hub.attach({ send: (message) => void heard.push(message) });
    port.send({ type: "hello", instance: "web" });
    if (asks !== null) port.send({ type: "door", asks, hears, wishes: `{"hears":${hears}}` });
    return { heard, port, last: () => heard.at(-1) };
  };
  const decided: (Verdict | null)[] = [];
  const ask = () => hub.door.ask(request, (verdict) => decided.push(verdict));
  return { clock, hub, join, decided, ask, warned };
}

test("before the first server has said what it wants, requests wait, and then begin anew", () => {
  const { hub, join, decided, ask } = open();
  assert.deepEqual([hub.door.asks, hub.door.crowded], [true, false]);
  ask();
  const server = join(null);
  assert.equal(decided.length, 0, "hello alone says nothing of it");
  server.port.send({ type: "door", asks: false, hears: false, wishes: "{}" });
  assert.equal(decided[0]?.outcome, "again");
  assert.equal(hub.door.wishes, "[{}]");
  assert.equal(hub.door.asks, false);
});

test("of those who waited fifty are let in a turn, the first first, so that the first is served before the last is begun", () => {
  const { clock, hub, join } = open();
  const order: number[] = [];
  for (let n = 0; n < 120; n++) hub.door.ask(request, (verdict) => verdict?.outcome === "again" && order.push(n));
  join(false);
  assert.equal(order.length, 50);
  join(false);
  assert.equal(order.length, 50, "another server's word does not hurry them");
  assert.equal(hub.door.crowded, true);
  hub.door.ask(request, (verdict) => verdict?.outcome === "again" && order.push(120));
  assert.equal(order.length, 50, "who comes meanwhile is not let in before them");
  clock.advance(0);
  assert.equal(hub.door.crowded, false);
  assert.deepEqual(
    order,
    Array.from({ length: 121 }, (_, n) => n),
  );
});

test("where no more may wait nobody is sent behind those who do", () => {
  const { hub, join, decided, ask } = open({ requestQuestionsMax: 60 });
  for (let n = 0; n < 60; n++) ask();
  join(false);
  assert.deepEqual([decided.length, hub.door.crowded], [50, false]);
});

test("a server that asks is shown those who waited fifty a turn, another gets those of one that goes meanwhile", () => {
  const { clock, hub, join, ask } = open();
  const first = join(true);
  first.port.gone();
  for (let n = 0; n < 120; n++) ask();
  const second = join(true);
  const shown = ({ heard }: typeof first) => heard.filter(({ type }) => type === "request").length;
  assert.equal(shown(second), 50);
  second.port.gone();
  const third = join(true);
  clock.advance(0);
  assert.deepEqual([shown(second), shown(third)], [50, 120]);
  hub.close();
  assert.equal(clock.pendingCount, 0);
});

test("a request that nobody decides on is given up after 10 s", () => {
  const { clock, join, decided, ask, warned } = open();
  ask();
  clock.advance(10_000);
  assert.deepEqual(decided, [null]);
  const server = join(true);
  ask();
  clock.advance(9_999);
  assert.equal(decided.length, 1);
  clock.advance(1);
  assert.deepEqual(decided, [null, null]);
  assert.deepEqual(warned, [{ servers: 0, waitedMs: 10_000 }], "once, until somebody judges again");
  server.port.send({ type: "verdict", request: ask(), ...pass, payload });
  ask();
  clock.advance(10_000);
  assert.deepEqual(warned.slice(1), [{ servers: 1, waitedMs: 10_000 }]);
});

test("the server that lets a request in gets the line's sockets, and is told what came of the request", () => {
  const { hub, join, decided, ask } = open();
  const [one, two] = [join(true), join(true)];
  const questions = [ask(), ask()];
  // Both are empty: the first is asked, twice.
  assert.deepEqual(
    one.heard.map(({ type }) => type),
    ["request", "request"],
  );
  one.port.send({ type: "verdict", request: questions[0]!, ...pass, payload });
  assert.deepEqual(decided[0]?.fields, ["x-a", "1"]);
  const line = new FakeLine("line-1");
  const connection = hub.open(line, handshake, questions[0]);
  hub.door.over(questions[0]!);
  assert.deepEqual(one.last(), { type: "request-over", request: questions[0], connection: "line-1" });
  connection.text("0");
  connection.text("0/admin,");
  assert.deepEqual(
    one.heard.slice(3).map(({ type }) => type),
    ["connect", "connect"],
  );
  hub.door.over(questions[1]!);
  assert.deepEqual(one.last(), { type: "request-over", request: questions[1], connection: "" });
  assert.deepEqual(two.heard, []);
  connection.closed("transport close");
  assert.deepEqual(one.last(), { type: "line-closed", connection: "line-1", reason: "transport close" });
  hub.assertInvariants();
});

test("what a server was asked when it went, another is asked; when all are away, requests wait for the next", () => {
  const { join, decided, ask } = open();
  const one = join(true);
  const question = ask();
  const two = join(true);
  one.port.gone();
  assert.deepEqual(two.last(), { type: "request", request: question, head: request });
  one.port.send({ type: "verdict", request: question, ...pass, payload });
  assert.equal(decided.length, 0, "its word does not count any more");
  two.port.send({ type: "leaving" });
  const second = ask();
  const three = join(true);
  assert.deepEqual(
    three.heard.map((message) => message.type === "request" && message.request),
    [question, second],
  );
  three.port.send({ type: "verdict", request: question, ...pass, outcome: "forbid", message: "no", payload });
  assert.deepEqual([decided[0]?.outcome, decided[0]?.message], ["forbid", "no"]);
});

test("only servers that listen are told of refusals: who was asked, otherwise any", () => {
  const { hub, join, ask } = open();
  const refusal = { code: 1, name: "", message: "Session ID unknown" };
  const deaf = join(true);
  assert.equal(hub.door.hears, false);
  const listening = join(true, true);
  assert.equal(hub.door.hears, true);
  const question = ask();
  hub.door.refused(question, request, refusal);
  assert.deepEqual(listening.last(), { type: "request-refused", request: 0, head: request, refusal });
  assert.deepEqual(
    deaf.heard.map(({ type }) => type),
    ["request"],
  );
});

test("one server that asks is enough, what all wish is summed up, and what the last one wished stays when it is gone", () => {
  const { hub, join } = open();
  const [strict, plain] = [join(true, true), join(false)];
  assert.deepEqual([hub.door.asks, hub.door.hears, hub.door.wishes], [true, true, '[{"hears":true},{"hears":false}]']);
  const third = join(false);
  assert.equal(hub.door.wishes, '[{"hears":true},{"hears":false}]', "the same wish is one");
  strict.port.gone();
  assert.deepEqual([hub.door.asks, hub.door.hears], [false, false]);
  plain.port.send({ type: "door", asks: true, hears: false, wishes: "{}" });
  assert.deepEqual([hub.door.asks, hub.door.wishes], [true, '[{"hears":false},{}]']);
  third.port.gone();
  plain.port.gone();
  assert.deepEqual([hub.door.asks, hub.door.wishes], [true, "[{}]"]);
});

test("beyond their bound requests are given up at once, and there is room again when one is over", () => {
  const { hub, decided, ask } = open({ requestQuestionsMax: 2 });
  const questions = [ask(), ask()];
  assert.equal(decided.length, 0);
  ask();
  assert.deepEqual(decided, [null]);
  hub.door.over(questions[0]!);
  ask();
  assert.deepEqual(decided, [null]);
});

test("a hub that closes gives up what waits", () => {
  const { hub, decided, ask } = open();
  ask();
  hub.close();
  assert.deepEqual(decided, [null]);
});

test("a server learns the end of a line that its sockets had left, and can end a line by its name", () => {
  const { hub, join } = open();
  const server = join(false);
  const line = new FakeLine("line-1");
  const connection = hub.open(line, handshake);
  connection.text("0");
  const { socket } = server.heard.find((message) => message.type === "connect")!;
  server.port.send({ type: "accept", socket });
  connection.text("1");
  assert.deepEqual(server.last(), { type: "disconnect", socket, reason: "client namespace disconnect" });
  server.port.send({ type: "close-line", connection: "line-2" });
  assert.equal(line.reason, null);
  server.port.send({ type: "close-line", connection: "line-1" });
  assert.equal(line.reason, "forced close");
  assert.deepEqual(server.last(), { type: "line-closed", connection: "line-1", reason: "forced close" });
});
