/** How many connections are open, in all and from one address, over several listeners; who makes room, who is turned away. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type ByteStream, parseAddressRanges } from "@tideway/base";
import { encodeV1 } from "@tideway/wire/proxyprotocol";
import { Census, type CensusOptions } from "./index.ts";
import { answer, type Client, eventually, get, Recording, type Rig, startRig } from "./testing.ts";

function ranges(...list: string[]) {
  const parsed = parseAddressRanges(list);
  assert.ok(parsed.ok);
  return parsed.ranges;
}

test("an address has so many places, and gets each back", () => {
  const census = new Census({ connectionsMax: 100, connectionsPerAddressMax: 2 });
  assert.deepEqual([census.claim("192.0.2.1"), census.claim("192.0.2.1")], ["192.0.2.1", "192.0.2.1"]);
  assert.equal(census.claim("192.0.2.1"), null);
  assert.equal(census.claim("192.0.2.2"), "192.0.2.2");
  census.leave("192.0.2.1");
  assert.equal(census.claim("192.0.2.1"), "192.0.2.1");
  for (const seat of ["192.0.2.1", "192.0.2.1", "192.0.2.2"]) census.leave(seat);
  assert.equal(census.addresses, 0, "no address is remembered without a connection");
});

test("an IPv6 client is counted by its /64, however its address is written", () => {
  const census = new Census({ connectionsMax: 100 });
  const same = [
    "2001:db8:1:2::1",
    "2001:db8:1:2:ffff:ffff:ffff:ffff",
    "2001:0DB8:0001:0002:0:0:0:9",
    "2001:db8:1:2:3::",
  ];
  for (const address of same) assert.equal(census.claim(address), "2001:db8:1:2", address);
  assert.equal(census.claim("2001:db8:1:3::1"), "2001:db8:1:3");
  assert.equal(census.claim("2001:db8::1"), "2001:db8:0:0");
  assert.equal(census.claim("fe80::1%eth0"), "fe80:0:0:0");
  assert.equal(census.claim("::2"), "0:0:0:0");
  assert.equal(census.claim("1:2:3:4:5:6:7:8"), "1:2:3:4");
  assert.equal(census.claim("::ffff:192.0.2.1"), "192.0.2.1");
});

test("loopback and those who are not counted have no bound but the one for all", () => {
  const census = new Census({ connectionsMax: 100, connectionsPerAddressMax: 1, uncounted: ranges("10.0.0.0/8") });
  for (const address of ["127.0.0.1", "127.9.9.9", "::1", "10.1.2.3"])
    for (let i = 0; i < 3; i++) assert.equal(census.claim(address), "", address);
  assert.equal(census.addresses, 0);
});

/** A client behind a balancer, from `address`. */
async function from(rig: Rig, address: string, ...say: string[]): Promise<Client> {
  const client = await rig.client();
  const end = { address: "192.0.2.255", port: 1 };
  client.say(encodeV1({ source: { address, port: 1 }, destination: end }).toString("latin1") + say.join(""));
  return client;
}

/** `/hold` is never answered, an upgrade is taken, anything else is a pong. */
async function start(context: TestContext, options: CensusOptions, census = new Census(options)) {
  const streams: ByteStream[] = [];
  const rig = await startRig(
    context,
    (exchange) => {
      if (exchange.head.upgrade !== "") streams.push(exchange.upgrade([]).stream);
      else if (exchange.head.path === "/hold") exchange.accept(new Recording());
      else answer(exchange, "pong");
    },
    {},
    { proxyProtocol: true, census },
  );
  return { rig, census, streams };
}

test("over its bound an address gets a 429 and is closed; others come in", async (context) => {
  const { rig, census } = await start(context, { connectionsMax: 100, connectionsPerAddressMax: 2 });
  const first = await from(rig, "192.0.2.1", get());
  const second = await from(rig, "192.0.2.1", get());
  await first.hears("pong");
  await second.hears("pong");
  const third = await from(rig, "192.0.2.1", get());
  assert.match(await third.untilEnd(), /^HTTP\/1.1 429 [\s\S]*retry-after: 1\r\n[\s\S]*connection: close/);
  const other = await from(rig, "192.0.2.2", get());
  await other.hears("pong");
  assert.equal(rig.listener.counters.shed, 1);
  const line = rig.log.find((entry) => entry.fields["code"] === "CONNECTIONS_PER_ADDRESS");
  assert.equal(line?.fields["address"], "192.0.2.1");

  first.socket.destroy();
  await eventually(() => census.total === 2);
  const again = await from(rig, "192.0.2.1", get());
  await again.hears("pong");
});

test("a flood from one address leaves one line in ten seconds", async (context) => {
  const { rig } = await start(context, { connectionsMax: 100, connectionsPerAddressMax: 1 });
  const first = await from(rig, "192.0.2.1", get());
  await first.hears("pong");
  for (let i = 0; i < 20; i++) await (await from(rig, "192.0.2.1", get())).untilEnd();
  const lines = () => rig.log.filter((line) => line.fields["code"] === "CONNECTIONS_PER_ADDRESS");
  assert.deepEqual(
    lines().map((line) => line.fields["times"]),
    [1],
  );
  rig.clock.advance(11_000);
  assert.deepEqual(
    lines().map((line) => line.fields["times"]),
    [1, 19],
  );
  assert.equal(rig.listener.counters.shed, 20);
});

test("upgraded connections count until they close, for their address and for all", async (context) => {
  const { rig, census, streams } = await start(context, { connectionsMax: 3, connectionsPerAddressMax: 1 });
  const upgrade = get("/", "Connection: Upgrade\r\nUpgrade: x\r\n");
  const first = await from(rig, "192.0.2.1", upgrade);
  await first.hears("101");
  assert.deepEqual([rig.listener.counters.connections, rig.listener.counters.upgraded, census.total], [0, 1, 1]);
  assert.match(await (await from(rig, "192.0.2.1", get())).untilEnd(), /^HTTP\/1.1 429 /);
  await (await from(rig, "192.0.2.2", upgrade)).hears("101");
  await (await from(rig, "192.0.2.3", upgrade)).hears("101");
  const fourth = await rig.client();
  assert.match(await fourth.untilEnd(), /^HTTP\/1.1 503 /);

  streams[0]!.destroy();
  await eventually(() => census.total === 2);
  await (await from(rig, "192.0.2.1", get())).hears("pong");
});

test("listeners that share a census share its room: the longest idle goes, whichever it belongs to", async (context) => {
  const census = new Census({ connectionsMax: 3 });
  const { rig: one } = await start(context, {}, census);
  const { rig: two } = await start(context, {}, census);
  const oldest = await from(one, "192.0.2.1", get());
  await oldest.hears("pong");
  one.clock.advance(1_000);
  two.clock.advance(1_000);
  for (const rig of [one, two]) await (await from(rig, "192.0.2.2", get())).hears("pong");
  assert.equal(census.total, 3);
  await (await from(two, "192.0.2.3", get())).hears("pong");
  await oldest.untilClosed();
  assert.equal(census.total, 3);
  assert.equal(one.listener.counters.connections, 1);
});

test("a client that is turned away while it sends hears why, and no reset", async (context) => {
  const { rig } = await start(context, { connectionsMax: 1 });
  const busy = await from(rig, "192.0.2.1", get("/hold"));
  await eventually(() => rig.listener.counters.requests === 1);
  for (let i = 0; i < 10; i++) {
    const client = await rig.client();
    client.say("x".repeat(200_000));
    assert.match(await client.untilEnd(), /^HTTP\/1.1 503 /);
    assert.equal(client.error, "");
  }
  assert.equal(busy.closed, false);
});

test("a connection whose header is awaited has a place of its own, and gives it back", async (context) => {
  const { rig, census } = await start(context, { connectionsMax: 2 });
  const waiting = await rig.client();
  await eventually(() => census.total === 1);
  waiting.socket.destroy();
  await eventually(() => census.total === 0);
  const wrong = await rig.client();
  wrong.say(get());
  await wrong.untilClosed();
  assert.equal(census.total, 0);
});

test("bounds that change hold for those who come; whoever is connected stays", async (context) => {
  const { rig, census } = await start(context, { connectionsMax: 10, connectionsPerAddressMax: 5 });
  const clients = [];
  for (let i = 0; i < 3; i++) {
    const client = await from(rig, "192.0.2.1", get());
    await client.hears("pong");
    clients.push(client);
  }
  census.reconfigure({ connectionsMax: 10, connectionsPerAddressMax: 2 });
  assert.match(await (await from(rig, "192.0.2.1", get())).untilEnd(), /^HTTP\/1.1 429 /);
  for (const client of clients) client.say(get());
  for (const client of clients) await client.hears((heard) => heard.split("pong").length === 3);
  census.reconfigure({ connectionsMax: 10, connectionsPerAddressMax: 2, uncounted: ranges("192.0.2.0/24") });
  await (await from(rig, "192.0.2.1", get())).hears("pong");
});
