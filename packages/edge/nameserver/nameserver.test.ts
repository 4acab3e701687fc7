import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import dgram from "node:dgram";
import { once } from "node:events";
import { existsSync } from "node:fs";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { OperatorError, silentLogger } from "@tideway/base";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { createZones, type Zones } from "@tideway/engine/zones";
import packet from "dns-packet";
import { createNameServer, type NameServer } from "./index.ts";

const built = createZones({
  sites: ["www.abc.test"],
  addresses: ["127.0.0.1", "::1"],
  zones: {
    "abc.test": {
      big: { TXT: Array.from({ length: 12 }, (_, i) => `${i} ${"x".repeat(200)}`) },
      "@": { MX: "10 mail", CAA: "0 issue ca.test", TXT: "hello" },
      mail: { A: "192.0.2.1" },
      alias: { CNAME: "www" },
      "_sip._tcp": { SRV: "0 5 5060 mail" },
    },
  },
  serial: 1,
});
assert.ok("zones" in built);
const zones: Zones = built.zones;
const clock = new FakeClock();
let server: NameServer;
let port = 0;

before(async () => {
  server = createNameServer({ host: "127.0.0.1", port: 0, answer: zones.answer, clock, logger: silentLogger });
  port = (await server.listen()).port;
});
after(() => server.close());

const QUESTION = { type: "query", id: 0x1234, flags: 0x100 };
function question(name: string, type = "A", more: object = {}): Buffer {
  return packet.encode({ ...QUESTION, questions: [{ name, type, class: "IN" }], ...more });
}
const opt = (udpPayloadSize: number, more: object = {}) => ({
  additionals: [{ name: ".", type: "OPT", udpPayloadSize, ...more }],
});

/** Sends over UDP and gives the first answer. */
async function overUdp(message: Buffer, to = port): Promise<Buffer> {
  const socket = dgram.createSocket("udp4");
  try {
    socket.send(message, to, "127.0.0.1");
    const [answer] = await once(socket, "message");
    return answer;
  } finally {
    socket.close();
  }
}

/** Writes the pieces over TCP and gives as many answers as asked for. */
async function overTcp(pieces: Buffer[], count: number): Promise<Buffer[]> {
  const socket = net.connect(port, "127.0.0.1");
  const answers: Buffer[] = [];
  let pending = Buffer.alloc(0);
  for (const piece of pieces) {
    await new Promise((resolve) => socket.write(piece, resolve));
    await new Promise(setImmediate);
  }
  for await (const chunk of socket) {
    pending = Buffer.concat([pending, chunk as Buffer]);
    while (pending.length >= 2 && pending.length >= pending.readUInt16BE(0) + 2) {
      answers.push(pending.subarray(2, pending.readUInt16BE(0) + 2));
      pending = pending.subarray(pending.readUInt16BE(0) + 2);
    }
    if (answers.length >= count) break;
  }
  socket.destroy();
  return answers;
}
function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(2);
  prefix.writeUInt16BE(message.length);
  return Buffer.concat([prefix, message]);
}

describe("answers over UDP", () => {
  test("a site's address comes with AA, the same id, RD copied and RA clear", async () => {
    const answer = packet.decode(await overUdp(question("www.abc.test")));
    assert.equal(answer.id, 0x1234);
    assert.deepEqual(
      [answer.type, answer.rcode, answer.flag_aa, answer.flag_rd, answer.flag_ra],
      ["response", "NOERROR", true, true, false],
    );
    assert.equal(answer.answers[0]?.data, "127.0.0.1");
    assert.equal(answer.additionals.length, 0);
  });

  test("the question's letter case comes back in question and answer", async () => {
    const answer = packet.decode(await overUdp(question("wWw.aBc.TEST", "AAAA")));
    assert.equal(answer.questions[0]?.name, "wWw.aBc.TEST");
    assert.equal(answer.answers[0]?.name, "wWw.aBc.TEST");
    assert.equal(answer.answers[0]?.data, "::1");
  });

  test("every type of record goes over the wire and back", async () => {
    const seen: Record<string, unknown> = {};
    for (const [name, type] of [
      ["abc.test", "MX"],
      ["abc.test", "CAA"],
      ["abc.test", "TXT"],
      ["abc.test", "SOA"],
      ["abc.test", "NS"],
    ]) {
      seen[type!] = packet.decode(await overUdp(question(name!, type))).answers[0]?.data;
    }
    assert.deepEqual(seen.MX, { preference: 10, exchange: "mail.abc.test" });
    assert.deepEqual(seen.CAA, { flags: 0, tag: "issue", value: "ca.test", issuerCritical: false });
    assert.deepEqual(seen.TXT, [Buffer.from("hello")]);
    assert.equal((seen.SOA as { mname: string }).mname, "ns.abc.test");
    assert.equal(seen.NS, "ns.abc.test");
    const chain = packet.decode(await overUdp(question("alias.abc.test"))).answers;
    assert.deepEqual(
      chain.map((record) => [record.name, record.data]),
      [
        ["alias.abc.test", "www.abc.test"],
        ["www.abc.test", "127.0.0.1"],
      ],
    );
    const service = packet.decode(await overUdp(question("_sip._tcp.abc.test", "SRV"))).answers[0];
    assert.deepEqual(service?.data, { priority: 0, weight: 5, port: 5060, target: "mail.abc.test" });
  });

  test("a name outside our zones is refused: never an open resolver", async () => {
    const answer = packet.decode(await overUdp(question("example.com")));
    assert.deepEqual(
      [answer.rcode, answer.flag_aa, answer.flag_ra, answer.answers.length],
      ["REFUSED", false, false, 0],
    );
  });

  test("an unknown name carries the SOA in its authority", async () => {
    const answer = packet.decode(await overUdp(question("no.abc.test")));
    assert.deepEqual([answer.rcode, answer.authorities[0]?.type], ["NXDOMAIN", "SOA"]);
  });
});

describe("EDNS and sizes", () => {
  test("OPT is answered with OPT: our size, the DO bit copied", async () => {
    const answer = packet.decode(await overUdp(question("www.abc.test", "A", opt(4096, { flags: 0x8000 }))));
    assert.equal(answer.additionals[0]?.type, "OPT");
    assert.equal(answer.additionals[0]?.udpPayloadSize, 1232);
    assert.equal(answer.additionals[0]?.flags, 0x8000);
  });

  test("a version that is not ours gets BADVERS", async () => {
    const answer = packet.decode(await overUdp(question("www.abc.test", "A", opt(1232, { ednsVersion: 1 }))));
    assert.equal(answer.additionals[0]?.extendedRcode, 1);
    assert.equal(answer.answers.length, 0);
  });

  test("what does not fit UDP comes truncated and within the limit, and whole over TCP", async () => {
    for (const size of [512, 1232, 65_535]) {
      const bytes = await overUdp(question("big.abc.test", "TXT", opt(size)));
      const answer = packet.decode(bytes);
      assert.ok(bytes.length <= Math.min(size, 1232));
      assert.deepEqual([answer.flag_tc, answer.answers.length, answer.flag_aa], [true, 0, true]);
    }
    const [whole] = await overTcp([framed(question("big.abc.test", "TXT"))], 1);
    assert.equal(packet.decode(whole!).answers.length, 12);
  });

  test("two OPT records are malformed", async () => {
    const two = { additionals: [opt(1232).additionals[0], opt(1232).additionals[0]] };
    assert.equal(packet.decode(await overUdp(question("www.abc.test", "A", two))).rcode, "FORMERR");
  });
});

describe("TCP", () => {
  test("questions arrive in pieces of one byte", async () => {
    const bytes = framed(question("www.abc.test"));
    const [answer] = await overTcp(
      Array.from(bytes, (byte) => Buffer.from([byte])),
      1,
    );
    assert.equal(packet.decode(answer!).answers[0]?.data, "127.0.0.1");
  });

  test("pipelined questions are all answered, in order", async () => {
    const names = ["www.abc.test", "mail.abc.test", "no.abc.test", "example.com"];
    const answers = await overTcp([Buffer.concat(names.map((name) => framed(question(name))))], 4);
    assert.deepEqual(
      answers.map((answer) => packet.decode(answer).questions[0]?.name),
      names,
    );
  });

  test("a client that half-closes after asking still gets its answer", async () => {
    const socket = net.connect(port, "127.0.0.1");
    socket.end(framed(question("www.abc.test")));
    const chunks = await socket.toArray();
    assert.equal(packet.decode(Buffer.concat(chunks).subarray(2)).answers[0]?.data, "127.0.0.1");
  });

  test("a message that is too long, or an answer, closes the connection", async () => {
    const answerItself = question("www.abc.test");
    answerItself[2]! |= 0x80;
    for (const bytes of [Buffer.from([0xff, 0xff, 1, 2]), framed(answerItself), Buffer.from([0, 0])]) {
      const socket = net.connect(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write(bytes);
      socket.resume();
      await once(socket, "close");
    }
  });

  test("an idle connection is closed, and one too many closes the one idle for longest", async () => {
    const small = createNameServer({
      host: "127.0.0.1",
      port: 0,
      answer: zones.answer,
      clock,
      logger: silentLogger,
      tcp: { connectionsMax: 2 },
    });
    const bound = await small.listen();
    const open = async () => {
      const socket = net.connect(bound.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write(framed(question("www.abc.test")));
      const closed = once(socket, "close");
      await once(socket, "data");
      socket.resume();
      return { closed };
    };
    const first = await open();
    const second = await open();
    const third = await open();
    await first.closed;
    assert.equal(small.counters().tcpConnections, 2);
    clock.advance(10_001);
    await Promise.all([second.closed, third.closed]);
    await small.close();
  });
});

describe("bad input", () => {
  /** Sends each message and a good question behind it; whatever comes before the good answer must be a sound refusal. */
  async function survives(messages: Buffer[]): Promise<void> {
    const socket = dgram.createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    for (const message of messages) {
      const done = new Promise<void>((resolve, reject) => {
        socket.removeAllListeners("message");
        socket.on("message", (answer) => {
          try {
            const decoded = packet.decode(answer);
            assert.equal(decoded.type, "response");
            if (decoded.id === 0xbeef) return resolve();
            assert.equal(answer.readUInt16BE(0), message.readUInt16BE(0));
            assert.ok(answer.length <= 1232);
          } catch (error) {
            reject(error);
          }
        });
      });
      socket.send(message, port, "127.0.0.1");
      socket.send(
        packet.encode({ type: "query", id: 0xbeef, questions: [{ name: "www.abc.test", type: "A" }] }),
        port,
        "127.0.0.1",
      );
      await done;
    }
    socket.close();
  }
  const whole = question("www.abc.test", "A", opt(1232, { options: [{ code: 10, data: Buffer.alloc(8) }] }));

  test("truncation at every byte is answered FORMERR or not at all", async () => {
    await survives(Array.from(whole, (_, length) => whole.subarray(0, length)));
    const cut = packet.decode(await overUdp(whole.subarray(0, whole.length - 1)));
    assert.equal(cut.rcode, "FORMERR");
  });

  test("pointers in the question, pointer loops and long labels are FORMERR", async () => {
    const header = Buffer.from("12340100000100000000000000".slice(0, 24), "hex");
    const name = (...bytes: number[]) => Buffer.concat([header, Buffer.from([...bytes, 0, 1, 0, 1])]);
    const long = name(...Array.from({ length: 5 }, () => [63, ...Buffer.alloc(63, 97)]).flat(), 0);
    const extra = question("www.abc.test", "A", { additionals: [{ name: ".", type: "A", data: "1.2.3.4" }] });
    const loop = Buffer.concat([extra.subarray(0, 30), Buffer.from([0xc0, 30]), extra.subarray(31)]);
    const cases = [name(0xc0, 12), name(1, 97, 0xc0, 12), name(0xc0, 0), name(64, 97, 0), name(0x80, 0), long, loop];
    for (const bytes of cases) assert.equal(packet.decode(await overUdp(bytes)).rcode, "FORMERR");
    await survives(cases);
  });

  test("counts that lie and lengths that lie are FORMERR", async () => {
    for (const at of [6, 8, 10]) {
      const lying = Buffer.from(whole);
      lying.writeUInt16BE(65_535, at);
      assert.equal(packet.decode(await overUdp(lying)).rcode, "FORMERR");
    }
    const length = Buffer.from(whole);
    length.writeUInt16BE(60_000, whole.length - 14);
    assert.equal(packet.decode(await overUdp(length)).rcode, "FORMERR");
    for (const count of [0, 2]) {
      const lying = Buffer.from(whole);
      lying.writeUInt16BE(count, 4);
      assert.equal(packet.decode(await overUdp(lying)).rcode, "FORMERR");
    }
  });

  test("opcodes other than QUERY are NOTIMP, other classes REFUSED, ANY NOTIMP", async () => {
    for (const opcode of [1, 2, 4, 5, 9]) {
      const other = question("www.abc.test");
      other[2] = opcode << 3;
      assert.equal(packet.decode(await overUdp(other)).rcode, "NOTIMP");
    }
    const chaos = packet.encode({ ...QUESTION, questions: [{ name: "version.bind", type: "TXT", class: "CH" }] });
    assert.equal(packet.decode(await overUdp(chaos)).rcode, "REFUSED");
    assert.equal(packet.decode(await overUdp(question("abc.test", "ANY"))).rcode, "NOTIMP");
  });

  test("a label that holds a dot or foreign bytes is no name of ours, and is repeated byte by byte", async () => {
    const odd = question("www.abc.test");
    odd[12 + 1 + 1] = 0x2e;
    const answer = await overUdp(odd);
    assert.equal(answer[3]! & 15, 3);
    assert.deepEqual(answer.subarray(12, 30), odd.subarray(12, 30));
  });

  test("random bytes and random flips never stop it, nor get a senseless answer", async () => {
    const random = new SeededRandom(53);
    const messages: Buffer[] = [];
    for (let i = 0; i < 600; i++) {
      if (i % 2 === 0) {
        messages.push(Buffer.from(random.bytes(2 + Math.floor(random.fraction() * 80))));
      } else {
        const flipped = Buffer.from(whole);
        for (let n = 0; n < 3; n++)
          flipped[Math.floor(random.fraction() * flipped.length)] = Math.floor(random.fraction() * 256);
        messages.push(flipped);
      }
    }
    await survives(messages.filter((message) => message.readUInt16BE(0) !== 0xbeef));
  });

  test("a fault of the zones is SERVFAIL for that question only", async () => {
    let fail = true;
    const faulty = createNameServer({
      host: "127.0.0.1",
      port: 0,
      clock,
      logger: silentLogger,
      answer(query) {
        if (fail) throw new Error("boom");
        return zones.answer(query);
      },
    });
    const bound = await faulty.listen();
    assert.equal(packet.decode(await overUdp(question("www.abc.test"), bound.port)).rcode, "SERVFAIL");
    fail = false;
    assert.equal(packet.decode(await overUdp(question("www.abc.test"), bound.port)).rcode, "NOERROR");
    assert.equal(faulty.counters().faults, 1);
    await faulty.close();
  });
});

describe("the port", () => {
  test("a port in use, by TCP or by UDP alone, is named with its option, and nothing stays open", async () => {
    const other = createNameServer({ host: "127.0.0.1", port, answer: zones.answer, clock, logger: silentLogger });
    const inUse = (error: unknown) => {
      return (
        error instanceof OperatorError &&
        error.code === "START_PORT_IN_USE" &&
        error.details.where === "names.listen.port"
      );
    };
    await assert.rejects(other.listen(), inUse);
    const udp = dgram.createSocket("udp4");
    udp.bind(0, "127.0.0.1");
    await once(udp, "listening");
    const taken = createNameServer({
      host: "127.0.0.1",
      port: udp.address().port,
      answer: zones.answer,
      clock,
      logger: silentLogger,
    });
    await assert.rejects(taken.listen(), inUse);
    udp.close();
  });

  test("an address that is not this machine's is named with its option", async () => {
    const far = createNameServer({ host: "192.0.2.1", port: 0, answer: zones.answer, clock, logger: silentLogger });
    await assert.rejects(
      far.listen(),
      (error) => error instanceof OperatorError && error.code === "START_ADDRESS_UNAVAILABLE",
    );
  });

  test("rates: over the burst every second question is told to come by TCP, the rest get nothing", async () => {
    const rateLimit = { perSecond: 1, burst: 2, slip: 2, limitLoopback: true };
    const limited = createNameServer({
      host: "127.0.0.1",
      port: 0,
      answer: zones.answer,
      clock,
      logger: silentLogger,
      rateLimit,
    });
    const bound = await limited.listen();
    const socket = dgram.createSocket("udp4");
    const answers: Buffer[] = [];
    const slipped = new Promise<void>((resolve) => {
      socket.on("message", (answer) => {
        answers.push(answer);
        if (answers.length === 4) resolve();
      });
    });
    for (let i = 0; i < 6; i++) socket.send(question("www.abc.test"), bound.port, "127.0.0.1");
    await slipped;
    assert.deepEqual(
      answers.map((answer) => packet.decode(answer).flag_tc),
      [false, false, true, true],
    );
    assert.deepEqual([limited.counters().limited, limited.counters().slipped], [2, 2]);
    socket.close();
    await limited.close();
  });
});

describe("stock client", () => {
  const dig = "/usr/bin/dig";
  const skip = existsSync(dig) ? false : "dig is not installed";
  test("dig gets the address over UDP and TCP", { skip }, async () => {
    const run = promisify(execFile);
    for (const more of [[], ["+tcp"], ["+noedns"]]) {
      const { stdout } = await run(dig, [
        "@127.0.0.1",
        "-p",
        String(port),
        "www.abc.test",
        "+short",
        "+tries=1",
        ...more,
      ]);
      assert.equal(stdout.trim(), "127.0.0.1");
    }
    const { stdout } = await run(dig, [
      "@127.0.0.1",
      "-p",
      String(port),
      "big.abc.test",
      "TXT",
      "+tries=1",
      "+norecurse",
    ]);
    assert.match(stdout, /Truncated, retrying in TCP mode[\s\S]*ANSWER: 12/);
    assert.doesNotMatch(stdout, /Warning|malformed/i);
  });
});
