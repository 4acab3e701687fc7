import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { describe, test } from "node:test";
import { OperatorError, silentLogger } from "@tideway/base";
import { SeededRandom } from "@tideway/base/testing";
import packet from "dns-packet";
import { createNameServer } from "./index.ts";

import { clock, framed, opt, overTcp, overUdp, port, QUESTION, question, zones } from "./questions.testing.ts";

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

  test("a client that asks by TCP without reading is not answered further, and gets the rest once it reads", async () => {
    let asked = 0;
    const patient = createNameServer({
      host: "127.0.0.1",
      port: 0,
      clock,
      logger: silentLogger,
      answer(query) {
        asked++;
        return zones.answer(query);
      },
    });
    const bound = await patient.listen();
    const count = 12_000;
    const socket = net.connect(bound.port, "127.0.0.1");
    socket.pause();
    const one = framed(question("big.abc.test", "TXT"));
    socket.write(Buffer.concat(Array.from({ length: count }, () => one)));
    for (let last = -1; asked === 0 || asked !== last; ) {
      last = asked;
      for (let i = 0; i < 50; i++) await new Promise(setImmediate);
    }
    assert.ok(asked < count, `${asked} answers are waiting`);
    let bytes = 0;
    const size = (await overTcp([one], 1))[0]!.length + 2;
    for await (const chunk of socket) {
      bytes += (chunk as Buffer).length;
      if (bytes === count * size) break;
    }
    assert.equal(asked, count);
    socket.destroy();
    await patient.close();
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
