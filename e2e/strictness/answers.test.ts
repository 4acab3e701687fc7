/**
 * What services may answer, through real sockets: good answers pass, everything in doubt is a 502 or a broken connection,
 * never an answer that looks whole and is not, and never a second use of the connection it came on. Requests that nothing
 * was answered to are asked again where that does no harm, and only there.
 */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { type AnswerCase, Ending, Outcome, showAnswer } from "./answer-case.ts";
import { Line, tick } from "./client.ts";
import { Gateway } from "./gateway.ts";
import { Scripted } from "./scripted.ts";
import { answerBodies } from "./tables/answer-bodies.ts";
import { answerHeads } from "./tables/answers.ts";

const cases: readonly AnswerCase[] = [...answerHeads, ...answerBodies];
const caseLimitMs = 5_000;
const shownMax = 10;

type Cut = (bytes: Buffer) => Iterable<Buffer>;
const whole: Cut = (bytes) => (bytes.length === 0 ? [] : [bytes]);

class Rig {
  readonly #service: Scripted;
  readonly #gateway: Gateway;
  #count = 0;

  private constructor(service: Scripted, gateway: Gateway) {
    this.#service = service;
    this.#gateway = gateway;
  }

  static async open(): Promise<Rig> {
    const service = await Scripted.open();
    return new Rig(service, await Gateway.open({ web: service.port }, { retryBudget: 100 }));
  }

  get #instance() {
    return this.#gateway.services.get("web")!.status().instances[0]!;
  }

  async play(each: AnswerCase, version: string, cut: Cut, behind: number): Promise<void> {
    for (let i = 0; i < behind; i++) await this.#probe(undefined, "");
    const path = `/${++this.#count}`;
    const asked = this.#service.asked;
    let answered: Socket | undefined;
    this.#service.onRequest = (socket) => {
      answered = socket;
      void answer(socket, each, cut);
    };
    const line = await Line.open(this.#gateway.port);
    const limit = setTimeout(() => line.socket.destroy(), caseLimitMs);
    try {
      const body = /^(?:POST|PUT|PATCH)$/.test(each.method) ? "Content-Length: 5\r\n\r\nhello" : "\r\n";
      await line.say([Buffer.from(`${each.method} ${path} HTTP/${version}\r\nHost: a.test\r\n${each.fields}${body}`)]);
      await hear(each, line);
      assert.equal(this.#service.asked - asked, each.asked, "how often the service was asked");
      const kept = each.kept ? 1 : 0;
      while (this.#instance.connections !== kept && !line.socket.destroyed) await tick();
      assert.deepEqual([this.#instance.connections, this.#instance.idle, this.#instance.active], [kept, kept, 0]);
      await this.#probe(each.kept ? answered : undefined);
    } catch (error) {
      throw new Error(`${showAnswer(each)}, to HTTP/${version}: ${(error as Error).message}`, { cause: error });
    } finally {
      clearTimeout(limit);
      line.socket.destroy();
    }
  }

  /** The next request gets its own answer, on the same connection only where that was in order. */
  async #probe(expected: Socket | undefined, last = "Connection: close\r\n"): Promise<void> {
    const path = last === "" ? "/warm" : `/probe/${++this.#count}`;
    let used: Socket | undefined;
    this.#service.onRequest = (socket, head) => {
      used = socket;
      const text = head.split(" ")[1]!;
      socket.write(`HTTP/1.1 200 OK\r\n${last}Content-Length: ${text.length}\r\n\r\n${text}`);
    };
    const line = await Line.open(this.#gateway.port);
    await line.say([Buffer.from(`GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`)]);
    const heard = await line.answer();
    line.socket.destroy();
    assert.deepEqual([heard?.status, heard?.body], [200, path], "an answer belongs to its request");
    if (expected !== undefined) assert.equal(used, expected, "the connection is used again");
  }

  async close(): Promise<void> {
    await this.#gateway.close();
    await this.#service.close();
  }
}

async function answer(socket: Socket, { bytes, ending }: AnswerCase, cut: Cut): Promise<void> {
  for (const piece of cut(Buffer.from(bytes, "latin1"))) {
    if (!socket.writable) return;
    socket.write(piece);
    await tick();
  }
  if (ending === Ending.fin) socket.end();
  // A reset must not overtake what it follows.
  await tick();
  if (ending === Ending.reset) socket.resetAndDestroy();
}

async function hear(each: AnswerCase, line: Line): Promise<void> {
  const heard = await line.answer(each.method === "HEAD");
  if (each.outcome === Outcome.broken) {
    assert.equal(heard, null, "nothing that looks whole");
    assert.ok(line.isReset, "the connection was reset, so that nothing can be taken for whole");
    return;
  }
  assert.notEqual(heard, null, `the connection ended; heard ${JSON.stringify(line.unread)}`);
  assert.equal(heard!.status, each.status);
  if (each.outcome === Outcome.refused) {
    if (each.method !== "HEAD") assert.match(heard!.body, /service web/);
    assert.doesNotMatch(heard!.head + heard!.body, /127\.0\.0\.1/);
    return;
  }
  assert.equal(heard!.body, each.body);
  const head = heard!.head
    .split("\r\n")
    .filter((text) => /^(?:x-[ab]|x_a|set-cookie|vary|etag|te|keep-alive|proxy-)/.test(text));
  const expected = each.head.filter((text) => !text.startsWith("content-length"));
  assert.deepEqual(head, expected);
  for (const text of each.head) assert.ok(heard!.head.includes(`\r\n${text}\r\n`), text);
}

async function playAll(some: readonly AnswerCase[], version: string, cut: Cut, behind = 0): Promise<void> {
  const failures: string[] = [];
  let rig = await Rig.open();
  for (const each of some) {
    try {
      await rig.play(each, version, cut, behind);
    } catch (error) {
      failures.push((error as Error).message);
      await rig.close();
      rig = await Rig.open();
      if (failures.length === shownMax) break;
    }
  }
  await rig.close();
  assert.equal(failures.length, 0, `\n${failures.join("\n\n")}\n`);
}

for (const [rule, ofRule] of [...Map.groupBy(cases, ({ rule }) => rule)].sort(([a], [b]) => a - b)) {
  test(`rule ${rule} of answers: ${ofRule.length} cases`, () => playAll(ofRule, "1.1", whole));
}

const short = cases.filter(({ bytes }) => bytes.length <= 400);

test("the same comes of answers behind others on their connection, when heads that repeat are remembered", () => {
  const random = new SeededRandom(3);
  // How long the server keeps a connection is taken from its first answer.
  const some = short.filter(({ bytes }) => random.fraction() < 0.4 && !bytes.includes("Keep-Alive: timeout=1"));
  return playAll(some, "1.1", whole, 2);
});

test("the same comes of answers whose bytes come one by one", () => {
  const random = new SeededRandom(1);
  const some = short.filter(() => random.fraction() < 0.4);
  return playAll(some, "1.1", (bytes) => Array.from(bytes, (byte) => Buffer.of(byte)));
});

test("the same comes of answers in two halves, towards HTTP/1.0", () => {
  const random = new SeededRandom(2);
  return playAll(short, "1.0", (bytes) => {
    const at = Math.floor(random.fraction() * bytes.length);
    return [bytes.subarray(0, at), bytes.subarray(at)].filter(({ length }) => length > 0);
  });
});
