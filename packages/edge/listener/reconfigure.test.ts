/** What changes while a listener runs: nothing is closed for it, and each limit holds for whom it says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ByteStream, limits, parseAddressRanges } from "@tideway/base";
import { encodeV1 } from "@tideway/wire/proxyprotocol";
import { answer, eventually, get, Recording, startRig, tick } from "./testing.ts";

test("limits of time hold at once, those of size for connections that are opened later", async (context) => {
  const rig = await startRig(context, (exchange) => answer(exchange, "pong"));
  const open = await rig.client();
  open.say(get());
  await open.hears("pong");
  rig.listener.reconfigure({ limits: { ...limits, idleTimeoutMs: 5_000, targetBytesMax: 100 } });
  const long = get(`/${"x".repeat(200)}`);
  open.say(long);
  await open.hears((heard) => heard.split("pong").length === 3);
  const later = await rig.client();
  later.say(long);
  assert.match(await later.untilEnd(), /^HTTP\/1.1 414 /);
  rig.clock.advance(6_000);
  await open.untilEnd();
});

test("who is trusted changes from the next request on, also of an open connection", async (context) => {
  const rig = await startRig(context, (exchange) => answer(exchange, `<${exchange.client.address}>`));
  const client = await rig.client();
  const ask = async (expected: string) => {
    client.heard = "";
    client.say(get("/", "X-Forwarded-For: 192.0.2.9\r\n"));
    await client.hears(`<${expected}>`);
  };
  const loopback = parseAddressRanges(["127.0.0.0/8"]);
  const nobody = parseAddressRanges([]);
  assert.ok(loopback.ok && nobody.ok);
  await ask("127.0.0.1");
  rig.listener.reconfigure({ trusts: loopback.ranges });
  await ask("192.0.2.9");
  rig.listener.reconfigure({ limits: { ...limits } });
  await ask("192.0.2.9");
  rig.listener.reconfigure({ trusts: nobody.ranges });
  await ask("127.0.0.1");
});

test("a PROXY header is due on connections that are opened later", async (context) => {
  const rig = await startRig(context, (exchange) => answer(exchange, `<${exchange.client.address}>`));
  const open = await rig.client();
  open.say(get());
  await open.hears("<127.0.0.1>");
  rig.listener.reconfigure({ proxyProtocol: true });
  open.say(get());
  await open.hears((heard) => heard.split("<127.0.0.1>").length === 3);
  const later = await rig.client();
  const end = { address: "192.0.2.7", port: 1 };
  later.say(encodeV1({ source: end, destination: end }).toString("latin1") + get());
  await later.hears("<192.0.2.7>");
  rig.listener.reconfigure({ proxyProtocol: false });
  const last = await rig.client();
  last.say(get());
  await last.hears("<127.0.0.1>");
});

test("the bounds on connections change with the limits, for a listener that has a census of its own", async (context) => {
  const rig = await startRig(context, (exchange) => exchange.accept(new Recording()), { connectionsMax: 1 });
  const first = await rig.client();
  first.say(get());
  await eventually(() => rig.listener.counters.requests === 1);
  assert.match(await (await rig.client()).untilEnd(), /^HTTP\/1.1 503 /);
  rig.listener.reconfigure({ limits: { ...limits, connectionsMax: 2 } });
  const second = await rig.client();
  second.say(get());
  await eventually(() => rig.listener.counters.requests === 2);
});

test("a listener that is removed drains, and upgraded connections live on", async (context) => {
  let stream: ByteStream | undefined;
  const handler = new Recording();
  const rig = await startRig(context, (exchange) => {
    if (exchange.head.upgrade === "") return exchange.accept(handler);
    stream = exchange.upgrade([]).stream;
    stream.on("data", (chunk) => stream!.write(chunk));
    stream.on("end", () => stream!.end());
  });
  const upgraded = await rig.client();
  upgraded.say(get("/", "Connection: Upgrade\r\nUpgrade: x\r\n"));
  await upgraded.hears("101");
  const busy = await rig.client();
  busy.say(get());
  await handler.until(() => handler.ended);
  const closing = rig.listener.close({ graceMs: 5_000 });
  for (let i = 0; i < 20; i++) await tick();
  assert.equal(handler.closed, "");
  rig.clock.advance(6_000);
  await closing;
  assert.equal(handler.closed, "stopping");
  await busy.untilClosed();

  upgraded.say("still here");
  await upgraded.hears("still here");
  assert.equal(rig.listener.counters.upgraded, 1);
  upgraded.socket.end();
  await upgraded.untilClosed();
  await eventually(() => rig.listener.counters.upgraded === 0);
});
