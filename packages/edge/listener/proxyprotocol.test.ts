/** PROXY headers in front of connections: who must send one, what it changes, and what comes of those that are none. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type AddressRanges, type ClientInfo, parseAddressRanges } from "@tideway/base";
import { encodeV1, encodeV2, TlvType } from "@tideway/wire/proxyprotocol";
import { answer, eventually, get, type Rig, startRig, tick } from "./testing.ts";

const addresses = {
  source: { address: "192.0.2.7", port: 4711 },
  destination: { address: "192.0.2.1", port: 443 },
};
const v1 = encodeV1(addresses).toString("latin1");

function ranges(...list: string[]): AddressRanges {
  const parsed = parseAddressRanges(list);
  assert.ok(parsed.ok);
  return parsed.ranges;
}

/** A listener that answers with what it thinks of its client, and keeps it. */
async function start(context: TestContext, proxyProtocol: boolean | AddressRanges, trusts?: AddressRanges) {
  const clients: ClientInfo[] = [];
  const onExchange: Parameters<typeof startRig>[1] = (exchange) => {
    clients.push(exchange.client);
    answer(exchange, `${exchange.client.address}:${exchange.client.port}`);
  };
  const rig = await startRig(context, onExchange, {}, { proxyProtocol, ...(trusts === undefined ? {} : { trusts }) });
  return { rig, clients };
}

/** Says `bytes` on a connection of its own, until the other end closes it. */
async function untilClosed(rig: Rig, bytes: string): Promise<string> {
  const client = await rig.client();
  client.say(bytes);
  return await client.untilClosed();
}

test("a header of either version says whose the connection's requests are; the peer stays in the record", async (context) => {
  const { rig, clients } = await start(context, true);
  for (const header of [v1, encodeV2(addresses, { checksum: true }).toString("latin1")]) {
    const client = await rig.client();
    client.say(header + get() + get("/second"));
    await client.hears(/192\.0\.2\.7:4711[\s\S]*192\.0\.2\.7:4711/);
  }
  assert.equal(clients.length, 4);
  assert.equal(clients[0]!.localPort, rig.port, "routing by port looks at our own port, not at the balancer's");
  assert.equal(clients[0]!.secure, false);
  assert.equal(clients[0]!.via, undefined, "what the client says of itself is not believed for it");
  for (const { address, peer } of rig.records) assert.deepEqual([address, peer], ["192.0.2.7", "127.0.0.1"]);
});

test("a header that comes one byte at a time is whole in the end, and the request behind it too", async (context) => {
  const { rig } = await start(context, true);
  for (const header of [v1, encodeV2(addresses).toString("latin1")]) {
    const client = await rig.client();
    for (const byte of header + get()) {
      client.say(byte);
      await tick();
    }
    await client.hears("192.0.2.7:4711");
  }
});

test("LOCAL and UNKNOWN leave the connection's own ends, as for a balancer's health check", async (context) => {
  const { rig } = await start(context, true);
  for (const header of [encodeV1(null), encodeV2(null), encodeV2({ ...addresses }, { unix: true })]) {
    const client = await rig.client();
    client.say(header.toString("latin1") + get());
    await client.hears(`127.0.0.1:${client.socket.localPort}`);
  }
});

test("a balancer that ended TLS says so", async (context) => {
  const { rig, clients } = await start(context, true);
  for (const flags of [0x01, 0x00]) {
    const tlvs = [{ type: TlvType.ssl, value: Buffer.from([flags, 0, 0, 0, 0]) }];
    const client = await rig.client();
    client.say(encodeV2(addresses, { tlvs }).toString("latin1") + get());
    await client.hears("192.0.2.7");
  }
  assert.deepEqual([clients[0]!.secure, clients[1]!.secure], [true, false]);
});

test("without a header where one is due the connection is closed without a word, and why is logged", async (context) => {
  const { rig } = await start(context, true);
  const wrong: readonly (readonly [string, string, string])[] = [
    [get(), "PROXY_ABSENT", "2"],
    ["PROXY TCP4 192.0.2.7 192.0.2.1 04711 443\r\n", "PROXY_V1_PORT", "2.1"],
    [`PROXY UNKNOWN${"x".repeat(100)}`, "PROXY_V1_LENGTH", "2.1"],
    ["\r\n\r\n\0\r\nQUIT\n\x31", "PROXY_V2_VERSION", "2.2"],
  ];
  for (const [bytes, code, section] of wrong) {
    assert.equal(await untilClosed(rig, bytes), "");
    const line = rig.log.find((entry) => entry.fields["code"] === code);
    assert.equal(line?.fields["section"], `PROXY protocol §${section}`);
    assert.equal(line.fields["address"], "127.0.0.1");
  }
  assert.equal(rig.listener.counters.refused, wrong.length);
  assert.equal(rig.listener.counters.requests, 0);
  assert.equal(rig.listener.counters.connections, 0);
});

test("a flood of bad headers is one line in ten seconds, with how many it stands for", async (context) => {
  const { rig } = await start(context, true);
  const lines = () =>
    rig.log.filter((entry) => entry.fields["code"] === "PROXY_ABSENT").map((line) => line.fields["times"]);
  for (let i = 0; i < 5; i++) await untilClosed(rig, get());
  assert.deepEqual(lines(), [1]);
  rig.clock.advance(11_000);
  assert.deepEqual(lines(), [1, 4]);
  rig.clock.advance(60_000);
  assert.deepEqual(lines(), [1, 4]);
});

test("a header must come whole within the head's time", async (context) => {
  const { rig } = await start(context, true);
  const client = await rig.client();
  client.say(v1.slice(0, 20));
  await eventually(() => rig.listener.counters.connections === 1);
  rig.clock.advance(9_000);
  client.say(v1.slice(20, 30));
  for (let i = 0; i < 20; i++) await tick();
  assert.equal(client.ended, false);
  rig.clock.advance(2_000);
  assert.equal(await client.untilClosed(), "");
  assert.equal(rig.log.filter((line) => line.fields["code"] === "PROXY_TIMEOUT").length, 1);
});

test("a connection that ends within its header is logged; one that says nothing, as a probe, is not", async (context) => {
  const { rig } = await start(context, true);
  const probe = await rig.client();
  await eventually(() => rig.listener.counters.connections === 1);
  probe.socket.end();
  await probe.untilClosed();
  await eventually(() => rig.listener.counters.connections === 0);
  assert.equal(rig.log.length, 0);
  const cut = await rig.client();
  cut.socket.end("PROXY TCP4");
  await cut.untilClosed();
  await eventually(() => rig.log.length > 0);
  assert.equal(rig.log[0]!.fields["code"], "PROXY_CUT");
});

test("from: who is in the ranges must send a header, everybody else is a client whose header is a bad request", async (context) => {
  const { rig } = await start(context, ranges("10.0.0.0/8"));
  const plain = await rig.client();
  plain.say(get());
  await plain.hears(`127.0.0.1:${plain.socket.localPort}`);
  for (const header of [v1, encodeV2(addresses).toString("latin1")])
    assert.match(await untilClosed(rig, header + get()), /^HTTP\/1\.1 400 /);
  assert.equal(rig.listener.counters.requests, 1);

  const { rig: within } = await start(context, ranges("127.0.0.0/8"));
  assert.equal(await untilClosed(within, get()), "");
  const client = await within.client();
  client.say(v1 + get());
  await client.hears("192.0.2.7:4711");
});

test("whom a header names is trusted or not, not who sent it", async (context) => {
  const claim = "X-Forwarded-For: 203.0.113.9\r\n";
  const { rig } = await start(context, true, ranges("127.0.0.0/8"));
  const client = await rig.client();
  client.say(v1 + get("/", claim));
  await client.hears("192.0.2.7:4711");
  const { rig: other } = await start(context, true, ranges("192.0.2.0/24"));
  const believed = await other.client();
  believed.say(v1 + get("/", claim));
  await believed.hears("203.0.113.9:0");
  assert.equal(other.records[0]!.peer, "127.0.0.1");
});

test("a stopping listener waits for no header", async (context) => {
  const { rig } = await start(context, true);
  const client = await rig.client();
  await eventually(() => rig.listener.counters.connections === 1);
  await rig.listener.close({ graceMs: 5_000 });
  await client.untilClosed();
});
