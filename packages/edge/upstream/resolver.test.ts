import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { isIP } from "node:net";
import { afterEach, describe, it } from "node:test";
import { decode, encode } from "dns-packet";
import { addressesIn, createResolver, systemResolve } from "./resolver.ts";

const open: Socket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.close();
});

interface Answer {
  readonly type: string;
  readonly name: string;
  readonly ttl: number;
  readonly data: string;
}

/** What a name server says by name and type: records, or a response code. */
type Zone = Record<string, readonly Answer[] | number>;

/** A name server; what is not in its zone is NXDOMAIN. */
async function nameServer(zone: Zone): Promise<{ server: string; asked: string[] }> {
  const socket = createSocket("udp4");
  open.push(socket);
  const asked: string[] = [];
  socket.on("message", (bytes, from) => {
    const { id, questions } = decode(bytes);
    const { name, type } = questions![0]!;
    asked.push(`${name} ${type}`);
    const said = zone[`${name} ${type}`] ?? 3;
    const answers = typeof said === "number" ? [] : [...said];
    const flags = 0x0180 | (typeof said === "number" ? said : 0);
    socket.send(encode({ type: "response", id: id!, flags, questions: questions!, answers }), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { server: `127.0.0.1:${socket.address().port}`, asked };
}

const a = (data: string, ttl: number): Answer => ({ type: "A", name: "app.test", ttl, data });
const aaaa = (data: string, ttl: number): Answer => ({ type: "AAAA", name: "app.test", ttl, data });
const hosts = async () => "";

describe("the addresses of a name", () => {
  it("come from DNS with the shortest time to live of their records", async () => {
    const { server } = await nameServer({
      "app.test A": [a("192.0.2.1", 60), a("192.0.2.2", 20)],
      "app.test AAAA": [aaaa("2001:db8::1", 300)],
    });
    const found = await createResolver({ servers: [server], hosts })("app.test");
    assert.deepEqual([...found.addresses].sort(), ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
    assert.equal(found.ttlMs, 20_000);
    assert.equal(found.partial, false);
  });

  it("of one family only are whole: DNS has said that there are no others", async () => {
    const { server } = await nameServer({ "app.test A": [a("192.0.2.1", 60)], "app.test AAAA": [] });
    const found = await createResolver({ servers: [server], hosts })("app.test");
    assert.deepEqual(found, { addresses: ["192.0.2.1"], ttlMs: 60_000, partial: false });
  });

  it("are in part when one of the questions failed", async () => {
    const { server } = await nameServer({ "app.test A": [a("192.0.2.1", 60)], "app.test AAAA": 2 });
    const found = await createResolver({ servers: [server], hosts })("app.test");
    assert.deepEqual(found, { addresses: ["192.0.2.1"], ttlMs: 60_000, partial: true });
  });

  it("in the hosts file go first, for half a minute, and nobody is asked", async () => {
    const { server, asked } = await nameServer({ "app.test A": [a("192.0.2.1", 60)] });
    const resolve = createResolver({ servers: [server], hosts: async () => "192.0.2.9 other app.test\n" });
    assert.deepEqual(await resolve("app.test"), { addresses: ["192.0.2.9"], ttlMs: 30_000 });
    assert.deepEqual(asked, []);
  });

  it("localhost is never asked of DNS", async () => {
    const { server, asked } = await nameServer({ "localhost A": [a("192.0.2.1", 60)] });
    const { addresses, ttlMs } = await createResolver({ servers: [server], hosts })("localhost");
    assert.ok(
      addresses.length > 0 && addresses.every((each) => each === "127.0.0.1" || each === "::1"),
      `${addresses}`,
    );
    assert.equal(ttlMs, 30_000);
    assert.deepEqual(asked, []);
  });

  it("that DNS does not know come from the system's resolver, which is asked one name at a time", async () => {
    const { server, asked } = await nameServer({});
    const waiting: { name: string; answer: PromiseWithResolvers<readonly string[]> }[] = [];
    const system = (name: string) => {
      const answer = Promise.withResolvers<readonly string[]>();
      waiting.push({ name, answer });
      return answer.promise;
    };
    const resolve = createResolver({ servers: [server], hosts, system });
    const known = resolve("printer.local");
    while (waiting.length < 1) await new Promise(setImmediate);
    const unknown = resolve("nobody.local");
    while (!asked.includes("nobody.local AAAA")) await new Promise(setImmediate);
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    assert.equal(waiting.length, 1);
    waiting[0]!.answer.resolve(["192.0.2.5"]);
    assert.deepEqual(await known, { addresses: ["192.0.2.5"], ttlMs: 30_000 });
    while (waiting.length < 2) await new Promise(setImmediate);
    waiting[1]!.answer.reject(Object.assign(new Error("no"), { code: "ENOTFOUND" }));
    await assert.rejects(unknown, { code: "ENOTFOUND" });
  });

  it("of this machine, as it is set up", async () => {
    const { addresses } = await systemResolve("localhost");
    assert.ok(addresses.length > 0 && addresses.every((each) => isIP(each) !== 0));
  });
});

describe("a hosts file", () => {
  const text = `
# comment 192.0.2.7 app.test
127.0.0.1\tlocalhost
  192.0.2.1   App.Test alias # app2.test
2001:db8::1 app.test
not-an-address app.test
192.0.2.1 app.test
192.0.2.3`;

  it("is read by name, in any case, each address once", () => {
    assert.deepEqual(addressesIn(text, "app.test"), ["192.0.2.1", "2001:db8::1"]);
    assert.deepEqual(addressesIn(text, "ALIAS"), ["192.0.2.1"]);
    assert.deepEqual(addressesIn(text, "app2.test"), []);
    assert.deepEqual(addressesIn(text.replaceAll("\n", "\r\n"), "localhost"), ["127.0.0.1"]);
    assert.deepEqual(addressesIn("", "x"), []);
  });
});
