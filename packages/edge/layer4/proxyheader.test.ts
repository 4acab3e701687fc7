/** The PROXY protocol of a TCP service, in and out, with bytes from its specification. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import { parseAddressRanges } from "@tideway/base";
import { FakeClock } from "@tideway/base/testing";
import { hear, until } from "../tunnel/testing.ts";
import { TcpEnd } from "./index.ts";
import { echo, TcpServer, tcpRig } from "./rig.testing.ts";

const v1 = "PROXY TCP4 192.0.2.7 198.51.100.1 40000 5432\r\n";
const v2 = Buffer.concat([
  Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1"), // signature
  Buffer.from([0x21]), // version 2, PROXY
  Buffer.from([0x11]), // TCP over IPv4
  Buffer.from([0, 12]), // length of what follows
  Buffer.from([192, 0, 2, 7]), // source
  Buffer.from([198, 51, 100, 1]), // destination
  Buffer.from([0x9c, 0x40]), // port 40000
  Buffer.from([0x15, 0x38]), // port 5432
]);
const local = Buffer.concat([Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1"), Buffer.from([0x20, 0, 0, 0])]);

function ranges(...list: string[]) {
  const parsed = parseAddressRanges(list);
  assert.ok(parsed.ok);
  return parsed.ranges;
}

describe("a PROXY header towards the instance", () => {
  async function received(
    proxyProtocol: "v1" | "v2",
  ): Promise<{ client: Socket; port: number; bytes(count: number): Promise<Buffer> }> {
    const server = await TcpServer.open();
    const { connect, port } = await tcpRig([server], {}, { proxyProtocol });
    const accepted = server.next();
    const client = await connect();
    const chunks: Buffer[] = [];
    (await accepted).on("data", (chunk: Buffer) => chunks.push(chunk));
    const bytes = async (count: number): Promise<Buffer> => {
      await until(() => Buffer.concat(chunks).length >= count);
      return Buffer.concat(chunks);
    };
    return { client, port, bytes };
  }

  it("version 1 goes ahead of the client's first byte, and even when it sends none", async () => {
    const { client, port, bytes } = await received("v1");
    const header = `PROXY TCP4 127.0.0.1 127.0.0.1 ${client.localPort} ${port}\r\n`;
    assert.equal((await bytes(header.length)).toString(), header);
    client.write("hello");
    assert.equal((await bytes(header.length + 5)).toString(), `${header}hello`);
  });

  it("version 2 says the same in bytes", async () => {
    const { client, port, bytes } = await received("v2");
    client.write("hello");
    const got = await bytes(28 + 5);
    const expected = Buffer.concat([v2.subarray(0, 16), Buffer.from([127, 0, 0, 1, 127, 0, 0, 1, 0, 0, 0, 0])]);
    expected.writeUInt16BE(client.localPort!, 24);
    expected.writeUInt16BE(port, 26);
    assert.deepEqual(got, Buffer.concat([expected, Buffer.from("hello")]));
  });
});

it("clients that are gone before they were looked at break nothing, whatever header is due", async () => {
  const server = await TcpServer.open(echo);
  for (const proxyProtocol of ["v1", "v2"] as const) {
    const { connect, listener, records } = await tcpRig([server], {}, { proxyProtocol });
    for (let i = 0; i < 20; i++) void connect().then((client) => client.resetAndDestroy());
    await until(() => records.length === 20);
    assert.equal(listener.counters.connections, 0);
  }
});

describe("a PROXY header from in front", () => {
  for (const [name, header] of [
    ["version 1", Buffer.from(v1)],
    ["version 2", v2],
  ] as const) {
    it(`${name}, byte by byte, names the client; what follows it is passed on, and nothing else`, async () => {
      const server = await TcpServer.open(echo);
      const { connect, records } = await tcpRig([server], { proxyProtocol: true });
      const client = await connect();
      client.setNoDelay(true);
      const heard = hear(client);
      for (const byte of header) {
        client.write(Buffer.of(byte));
        await new Promise(setImmediate);
      }
      client.end("hello");
      await heard.closed;
      assert.equal(heard.text, "hello");
      await until(() => records.length === 1);
      const { address, port, via, bytesIn, end } = records[0]!;
      assert.deepEqual(
        { address, port, via, bytesIn, end },
        { address: "192.0.2.7", port: 40000, via: "127.0.0.1", bytesIn: 5, end: TcpEnd.clean },
      );
    });
  }

  it("is passed on in the other version, in one piece with what came behind it", async () => {
    const server = await TcpServer.open();
    const { connect } = await tcpRig([server], { proxyProtocol: true }, { proxyProtocol: "v2" });
    const accepted = server.next();
    const client = await connect();
    client.write(`${v1}hello`);
    const [chunk] = (await once(await accepted, "data")) as [Buffer];
    assert.deepEqual(chunk, Buffer.concat([v2, Buffer.from("hello")]));
  });

  it("LOCAL, as health checks send it: the connection's own ends hold", async () => {
    const server = await TcpServer.open(echo);
    const { connect, records } = await tcpRig([server], { proxyProtocol: true });
    const client = await connect();
    const { localPort } = client;
    client.end(local);
    await hear(client).closed;
    await until(() => records.length === 1);
    const { address, port, via, end } = records[0]!;
    assert.deepEqual(
      { address, port, via, end },
      { address: "127.0.0.1", port: localPort, via: "127.0.0.1", end: TcpEnd.clean },
    );
  });

  for (const [name, bytes, fault] of [
    ["no header at all", "GET / HTTP/1.1\r\n\r\n", "PROXY_ABSENT"],
    ["a broken header", "PROXY TCP4 192.0.2.7 198.51.100.1 40000\r\n", "PROXY_V1_SHAPE"],
    ["a header without an end", "PROXY TCP4 192.0.2.7", "PROXY_CUT"],
  ] as const) {
    it(`${name}: a reset, and no instance hears of it`, async () => {
      const server = await TcpServer.open(echo);
      const { connect, listener, records } = await tcpRig([server], { proxyProtocol: true });
      const client = await connect();
      const heard = hear(client);
      client.end(bytes);
      await heard.closed;
      assert.deepEqual([heard.ended, heard.error], [false, "ECONNRESET"]);
      const { end, fault: told, tries } = records[0]!;
      assert.deepEqual([end, told, tries], [TcpEnd.badHeader, fault, 0]);
      assert.deepEqual([listener.counters.malformed, server.sockets.length], [1, 0]);
    });
  }

  it("must be whole within its deadline", async () => {
    const clock = new FakeClock();
    const server = await TcpServer.open(echo);
    const { connect, listener, records } = await tcpRig([server], { proxyProtocol: true, clock });
    const heard = hear(await connect());
    await until(() => listener.counters.connections === 1);
    clock.advance(9_999);
    assert.equal(records.length, 0);
    clock.advance(1);
    await heard.closed;
    assert.deepEqual([records[0]!.end, records[0]!.fault], [TcpEnd.badHeader, "PROXY_TIMEOUT"]);
    assert.equal(clock.pendingCount, 0);
  });

  it("a balancer that connects and closes, to see whether we are there, is no fault", async () => {
    const { connect, listener, records } = await tcpRig([], { proxyProtocol: true });
    const client = await connect();
    client.end();
    await until(() => records.length === 1);
    assert.deepEqual([records[0]!.end, records[0]!.fault, listener.counters.malformed], [TcpEnd.gone, "", 0]);
  });

  it("a client that goes before its header is whole is told as gone, and leaves nothing behind", async () => {
    const clock = new FakeClock();
    const { connect, listener, records } = await tcpRig([], { proxyProtocol: true, clock });
    const client = await connect();
    client.write("PROXY");
    await until(() => listener.counters.connections === 1);
    client.resetAndDestroy();
    await until(() => records.length === 1);
    assert.equal(records[0]!.end, TcpEnd.gone);
    assert.deepEqual([listener.counters.connections, clock.pendingCount], [0, 0]);
  });

  it("is asked of the named addresses only; what looks like one from others is theirs to send", async () => {
    const server = await TcpServer.open(echo);
    const proxied = await tcpRig([server], { proxyProtocol: ranges("127.0.0.0/8") });
    const trusted = await proxied.connect();
    trusted.end(`${v1}hello`);
    const heard = hear(trusted);
    await heard.closed;
    assert.equal(heard.text, "hello");
    const direct = await tcpRig([server], { proxyProtocol: ranges("10.0.0.0/8") });
    const other = await direct.connect();
    other.end(`${v1}hello`);
    const echoed = hear(other);
    await echoed.closed;
    assert.equal(echoed.text, `${v1}hello`);
    await until(() => direct.records.length === 1);
    assert.deepEqual([direct.records[0]!.address, direct.records[0]!.via], ["127.0.0.1", ""]);
  });

  it("bounds and balancing go by the client that it names", async () => {
    const server = await TcpServer.open(echo);
    const { connect, listener } = await tcpRig([server], {
      proxyProtocol: true,
      limits: { connectionsPerAddressMax: 1 },
    });
    const ends = async (header: string): Promise<string> => {
      const client = await connect();
      const heard = hear(client);
      client.write(header);
      client.write("x");
      await until(() => heard.text !== "" || heard.error !== "");
      return heard.error;
    };
    assert.equal(await ends(v1), "");
    assert.equal(await ends(v1.replace("192.0.2.7", "192.0.2.8")), "");
    assert.equal(await ends(v1.replace("40000", "40001")), "ECONNRESET");
    assert.equal(listener.counters.refused, 1);
  });

  it("those whose header is not whole yet do not hold up the end of the service", async () => {
    const { connect, listener, records } = await tcpRig([], { proxyProtocol: true });
    const client = await connect();
    client.write("PROXY");
    await until(() => listener.counters.connections === 1);
    await listener.close({ graceMs: 1_000_000 });
    assert.equal(records[0]!.end, TcpEnd.brokenOff);
  });
});
