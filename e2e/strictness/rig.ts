/**
 * Plays cases: a gateway, two recording services behind it, and a second client whose probes prove after every case that
 * an answer still belongs to its request, on the client's side and on the pooled connections to the services.
 */
import assert from "node:assert/strict";
import { type Case, get, type Seen, seen, show } from "./case.ts";
import { type Answer, Line, tick } from "./client.ts";
import { Gateway } from "./gateway.ts";
import { joined, Recorder, withoutAdded } from "./recorder.ts";

/** A case that has not ended by then has failed. */
const caseLimitMs = 5_000;

export class Rig {
  readonly gateway: Gateway;
  readonly #recorders: Readonly<Record<Seen["to"], Recorder>>;
  readonly #prober: Line;
  #plays = 0;

  private constructor(gateway: Gateway, recorders: Readonly<Record<Seen["to"], Recorder>>, prober: Line) {
    this.gateway = gateway;
    this.#recorders = recorders;
    this.#prober = prober;
  }

  static async open(): Promise<Rig> {
    const recorders = { web: await Recorder.open(), admin: await Recorder.open() };
    const gateway = await Gateway.open({ web: recorders.web.port, admin: recorders.admin.port });
    const rig = new Rig(gateway, recorders, await Line.open(gateway.port));
    await rig.#probe(rig.#prober);
    return rig;
  }

  /**
   * One case, its bytes cut into `pieces`; `behind` as many small requests on the same connection, so that whatever is
   * remembered of heads that repeat is remembered.
   */
  async play(each: Case, pieces: readonly Buffer[], behind = 0): Promise<void> {
    const number = ++this.#plays;
    const refusalsBefore = this.gateway.refusals.length;
    const line = await Line.open(this.gateway.port);
    for (let i = 0; i < behind; i++) await this.#warm(line);
    for (const [i, { to, text }] of each.sees.entries()) this.#recorders[to].expect(text, `answer ${number}.${i}`);
    let late = "";
    const limit = setTimeout(() => {
      late = `nothing more came for ${caseLimitMs} ms; `;
      line.socket.destroy();
    }, caseLimitMs);
    try {
      await line.say(pieces);
      if (each.fin) line.socket.end();
      await this.#hear(each, number, line);
      await this.#settle(each, number, line);
      const refusals = this.gateway.refusals.slice(refusalsBefore);
      assert.deepEqual(
        refusals.map(({ code }) => code),
        each.code === "" ? [] : [each.code],
        "the refusal is logged once, by its code",
      );
      for (const { rule, section } of refusals) {
        assert.equal(rule, each.rule);
        assert.match(section, /^RFC \d+ §[\d.]+$/);
      }
    } catch (error) {
      const record = JSON.stringify(this.#unaccounted());
      throw new Error(`${show(each)}: ${late}${(error as Error).message}; record: ${record}`, { cause: error });
    } finally {
      clearTimeout(limit);
      line.socket.destroy();
    }
  }

  /** What the client is told. */
  async #hear(each: Case, number: number, line: Line): Promise<void> {
    for (const [i, { text }] of each.sees.entries()) {
      const answer = await line.answer(text.startsWith("HEAD "));
      assertAnswer(answer, 200, text.startsWith("HEAD ") ? "" : `answer ${number}.${i}`);
    }
    if (each.status !== 0) {
      const answer = await line.answer();
      assertAnswer(answer, each.status);
      assert.match(answer!.head, /^connection: close\r$/m);
    }
    if (each.closes) assert.equal(await line.end(), "", "nothing follows the last answer");
    else await this.#probe(line);
  }

  /** What the services were told, and that all are in step. */
  async #settle(each: Case, number: number, line: Line): Promise<void> {
    await tick();
    const left = (await this.#recorders.web.takeLeft()).map((text) => joined(withoutAdded(text)));
    assert.deepEqual(await this.#recorders.admin.takeLeft(), []);
    const most = joined(each.partly);
    const fits = left.length === 0 || (left.length === 1 && isPartOf(left[0]!, most));
    assert.ok(fits, `no more than ${JSON.stringify(most)} may be seen, but it was ${JSON.stringify(left)}`);
    assert.equal(line.unread, "");
    await this.#probe(this.#prober);
    for (const recorder of Object.values(this.#recorders))
      assert.deepEqual(recorder.unaccounted(), [], `play ${number}`);
  }

  /** The same request and the same answer again and again, with the fields that most cases begin with. */
  async #warm(line: Line): Promise<void> {
    this.#recorders.web.expect(seen("GET /warm"), "warm");
    await line.say([Buffer.from(get("").replace("/", "/warm"))]);
    assertAnswer(await line.answer(), 200, "warm");
  }

  async #probe(line: Line): Promise<void> {
    for (const [to, host] of [
      ["web", "a.test"],
      ["admin", "b.test"],
    ] as const) {
      const name = `probe ${++this.#plays}`;
      this.#recorders[to].expect(seen(`GET /probe/${this.#plays}`, [], "", host), name);
      await line.say([Buffer.from(`GET /probe/${this.#plays} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)]);
      assertAnswer(await line.answer(), 200, name);
    }
  }

  #unaccounted(): string[] {
    return Object.values(this.#recorders).flatMap((recorder) => recorder.unaccounted());
  }

  async close(): Promise<void> {
    this.#prober.socket.destroy();
    await this.gateway.close();
    for (const recorder of Object.values(this.#recorders)) await recorder.close();
  }
}

function assertAnswer(answer: Answer | null, status: number, body?: string): void {
  assert.notEqual(answer, null, "the connection ended without an answer");
  assert.equal(answer!.status, status, answer!.body);
  if (body !== undefined) assert.equal(answer!.body, body, "an answer belongs to its request");
}

/** A head and the beginning of its body: `most` without some of its end. A joined body is compared by its data. */
function isPartOf(left: string, most: string): boolean {
  return most.startsWith(left) || (left.endsWith("]") && most.startsWith(left.slice(0, -1)));
}
