import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { silentLogger } from "@tideway/base";
import { requires } from "@tideway/scripts/requires";
import packet from "dns-packet";
import { createNameServer } from "./index.ts";
import { clock, framed, opt, overTcp, overUdp, port, question, zones } from "./questions.testing.ts";

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

describe("stock client", () => {
  test("dig gets the address over UDP and TCP", { skip: requires("dig") }, async () => {
    const run = promisify(execFile);
    for (const more of [[], ["+tcp"], ["+noedns"]]) {
      const { stdout } = await run("dig", [
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
    const { stdout } = await run("dig", [
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
