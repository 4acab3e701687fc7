/** Requests that come through a proxy in front: whose they are, in the exchange and in the record. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type ClientInfo, parseAddressRanges } from "@tideway/base";
import { answer, get, startRig } from "./testing.ts";

interface Asked {
  readonly client: ClientInfo;
  readonly id: string;
  readonly port: number;
  /** Of the record. */
  readonly logged: string;
  readonly heard: string;
}

/** A request with these field lines, from 127.0.0.1, while `trusted` are. */
async function ask(context: TestContext, trusted: readonly string[], ...lines: string[]): Promise<Asked> {
  const parsed = parseAddressRanges(trusted);
  assert.ok(parsed.ok);
  const clients: ClientInfo[] = [];
  const rig = await startRig(
    context,
    (exchange) => {
      clients.push(exchange.client);
      answer(exchange, "ok");
    },
    {},
    { trusts: parsed.ranges },
  );
  const client = await rig.client();
  client.say(get("/", lines.map((line) => `${line}\r\n`).join("")));
  const heard = await client.hears("ok");
  const { id, address } = rig.records[0]!;
  return { client: clients[0]!, id, port: client.socket.localPort!, logged: address, heard };
}

const claims = ["X-Forwarded-For: 192.0.2.7:99, 10.0.0.1", "X-Forwarded-Proto: https", "X-Request-Id: front-1"];

test("a client that is no trusted proxy is who it is, whatever it says", async (context) => {
  const { client, id, port, logged, heard } = await ask(context, ["10.0.0.0/8"], ...claims);
  assert.equal(client.address, "127.0.0.1");
  assert.equal(client.port, port);
  assert.equal(client.secure, false);
  assert.equal(client.via, undefined);
  assert.equal(logged, "127.0.0.1");
  assert.notEqual(id, "front-1");
  assert.ok(heard.includes(`x-request-id: ${id}\r\n`));
});

test("a trusted proxy is believed who its client is, that it came over TLS, and what the request is called", async (context) => {
  const { client, id, port, logged, heard } = await ask(context, ["127.0.0.0/8", "10.0.0.0/8"], ...claims);
  assert.equal(client.address, "192.0.2.7");
  assert.equal(client.port, 99);
  assert.equal(client.secure, true);
  assert.equal(client.via?.address, "127.0.0.1");
  assert.equal(client.via?.port, port);
  assert.equal(client.via?.secure, false);
  assert.equal(client.localPort, client.via?.localPort);
  assert.equal(logged, "192.0.2.7");
  assert.equal(id, "front-1");
  assert.ok(heard.includes("x-request-id: front-1\r\n"));
});

test("a trusted proxy that says nothing of use is the client, and its request gets an id", async (context) => {
  const { client, id, logged } = await ask(context, ["127.0.0.1"], "X-Forwarded-For: unknown", "X-Request-Id: a b");
  assert.equal(client.address, "127.0.0.1");
  assert.equal(client.via?.address, "127.0.0.1");
  assert.equal(logged, "127.0.0.1");
  assert.match(id, /^[\w-]{8}-1$/);
});
