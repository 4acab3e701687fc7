/** What the access log is told of each request: times, bytes on the line, who asked, and what became of an upgrade. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ByteStream, GuardedExchange } from "@tideway/base";
import type { UpgradeEnd } from "./index.ts";
import { answer, eventually, get, post, Recording, startRig } from "./testing.ts";

test("bytes on the line are told for each request by itself, pipelined, chunked and byte by byte", async (context) => {
  const rig = await startRig(context, (exchange) => {
    exchange.accept(new Recording());
    exchange.respond(200, [], -1);
    exchange.write(Buffer.from("pong"));
    exchange.end();
  });
  const client = await rig.client();
  const chunked = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n";
  const requests = [get("/a"), post("body"), chunked, get("/d", "Connection: close\r\n")];
  const all = requests.join("");
  client.say(all.slice(0, 100));
  await eventually(() => rig.listener.counters.requests > 0);
  for (const byte of all.slice(100)) client.say(byte);
  const heard = await client.untilEnd();
  assert.deepEqual(
    rig.records.map((record) => record.wireBytesIn),
    requests.map((request) => request.length),
  );
  assert.deepEqual(
    rig.records.map((record) => record.wireBytesOut),
    heard.split(/(?=HTTP)/).map((each) => each.length),
  );
  assert.deepEqual(
    rig.records.map((record) => [record.bytesIn, record.bytesOut]),
    [
      [0, 4],
      [4, 4],
      [3, 4],
      [0, 4],
    ],
  );
});

test("a refused request's record holds what was read and what was answered", async (context) => {
  const rig = await startRig(context, (exchange) => answer(exchange, "pong"));
  const client = await rig.client();
  client.say(get());
  await client.hears("pong");
  const before = client.heard.length;
  client.say("GET /\r\n\r\n");
  const heard = await client.untilEnd();
  const { fault, status, version, method, wireBytesIn, headMs, upgraded } = rig.records[1]!;
  assert.deepEqual(
    { fault: fault !== "", status, version, method, wireBytesIn, headMs, upgraded },
    { fault: true, status: 400, version: 0, method: "", wireBytesIn: 9, headMs: -1, upgraded: false },
  );
  assert.ok(heard.length > before);
});

test("a target says in a word why it answers with an error of its own", async (context) => {
  const rig = await startRig(context, (exchange) => {
    exchange.reason = "UPSTREAM_REFUSED";
    answer(exchange, "", 503);
  });
  const client = await rig.client();
  client.say(get());
  await client.hears("503");
  assert.deepEqual([rig.records[0]!.reason, rig.records[0]!.fault], ["UPSTREAM_REFUSED", ""]);
});

test("a record has the head that it is of, and none when that was refused", async (context) => {
  const rig = await startRig(context, (exchange) => answer(exchange, "pong"));
  const client = await rig.client();
  client.say(`${get("/?q=1", "User-Agent: curl/8\r\n")}GET\r\n\r\n`);
  await client.untilEnd();
  const [answered, refused] = rig.records;
  assert.equal(answered!.head!.query, "?q=1");
  assert.deepEqual(answered!.head!.fields.slice(-2), ["user-agent", "curl/8"]);
  assert.equal(refused!.head, null);
});

test("an upgrade is recorded when it is handed over, and its bytes when it has closed", async (context) => {
  const ends: UpgradeEnd[] = [];
  let stream: ByteStream | undefined;
  const rig = await startRig(
    context,
    (exchange) => {
      rig.clock.advance(3);
      const taken = exchange.upgrade([]);
      stream = taken.stream;
      assert.equal(Buffer.from(taken.head).toString(), "early");
    },
    {},
    { onUpgradeEnd: (end) => ends.push(end) },
  );
  const client = await rig.client();
  const request = get("/ws", "Connection: Upgrade\r\nUpgrade: x\r\n");
  client.say(`${request}early`);
  const head = (await client.hears("\r\n\r\n")).length;
  const [record] = rig.records;
  assert.deepEqual(
    [record!.status, record!.upgraded, record!.headMs, record!.wireBytesIn, record!.wireBytesOut],
    [101, true, 3, request.length, head],
  );
  const { connections, upgraded } = rig.listener.counters;
  assert.deepEqual({ connections, upgraded }, { connections: 0, upgraded: 1 });

  rig.clock.advance(1_000);
  stream!.on("data", (chunk) => stream!.write(chunk));
  stream!.on("end", () => stream!.end());
  client.say("later");
  await client.hears("later");
  client.socket.destroy();
  await eventually(() => ends.length === 1);
  assert.equal(ends[0]!.record, record);
  assert.deepEqual([ends[0]!.bytesIn, ends[0]!.bytesOut, ends[0]!.durationMs], [10, 5, 1_000]);
  assert.equal(rig.records.length, 1, "one line per request");
  const { upgraded: left, bytesIn, bytesOut } = rig.listener.counters;
  assert.deepEqual([left, bytesIn, bytesOut], [0, request.length + 10, head + 5]);
  assert.deepEqual(
    rig.log.filter(({ level }) => level !== "debug"),
    [],
    "connections that come and go are no news",
  );
});

test("an access log that throws breaks nothing", async (context) => {
  const onRecord = () => {
    throw new Error("disk full");
  };
  const rig = await startRig(context, (exchange: GuardedExchange) => answer(exchange, "pong"), {}, { onRecord });
  const client = await rig.client();
  client.say(get() + get());
  await client.hears(/pong[\s\S]*pong/);
  assert.equal(rig.log.filter((line) => line.message === "the access log failed").length, 2);
});
