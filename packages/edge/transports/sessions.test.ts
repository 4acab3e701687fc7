/** Any behaviour of a client, in any order: what must hold whatever it does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Opcode } from "@tideway/wire/websocket";
import fc from "fast-check";
import { type FakeConnection, type FakeExchange, type FakeStream, outgoing, Stage } from "./testing.ts";

type Step =
  | {
      do:
        | "poll"
        | "vanish"
        | "probe"
        | "move"
        | "webSocket"
        | "hangUp"
        | "drain"
        | "stuck"
        | "closeFrame"
        | "hubCloses";
    }
  | { do: "post"; body: string }
  | { do: "frame"; text: string }
  | { do: "garbage"; bytes: Uint8Array }
  | { do: "advance"; ms: number }
  | { do: "hubSends"; count: number };

const body = fc.oneof(
  fc.constantFrom("3", "4a", "4a\x1e4b", "bAQID", "1", "2", "5", "6", "9", "", "\x1e", "4\x1e", "b!"),
  fc.string({ unit: "binary", maxLength: 8 }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Step>({ do: "poll" }) },
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 4 }).map<Step>((count) => ({ do: "hubSends", count })) },
  { weight: 3, arbitrary: fc.constantFrom<Step[]>({ do: "webSocket" }, { do: "probe" }, { do: "move" }) },
  { weight: 2, arbitrary: fc.constantFrom<Step[]>({ do: "stuck" }, { do: "drain" }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 600 }).map<Step>((ms) => ({ do: "advance", ms })) },
  { weight: 2, arbitrary: body.map<Step>((text) => ({ do: "post", body: text })) },
  { weight: 2, arbitrary: body.map<Step>((text) => ({ do: "frame", text })) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }).map<Step>((bytes) => ({ do: "garbage", bytes })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Step[]>({ do: "vanish" }, { do: "hangUp" }, { do: "closeFrame" }, { do: "hubCloses" }),
  },
);

class Run {
  readonly stage = new Stage({ pingIntervalMs: 300, pingTimeoutMs: 200, outQueueBytesMax: 200, messageBytesMax: 60 });
  readonly connection: FakeConnection;
  readonly #sid: string;
  readonly #polls: FakeExchange[] = [];
  readonly #streams: FakeStream[] = [];
  #sent = 0;

  constructor(byPolling: boolean) {
    if (byPolling) {
      this.#sid = this.stage.openPolling().sid;
    } else {
      this.#streams.push(this.stage.openWebSocket().stream);
      this.#sid = this.stage.connections[0]!.line.id;
    }
    this.connection = this.stage.connections[0]!;
  }

  take(step: Step): void {
    const stream = this.#streams.at(-1);
    const alive = stream !== undefined && !stream.destroyed;
    switch (step.do) {
      case "poll":
        this.#polls.push(this.stage.poll(this.#sid));
        break;
      case "post":
        this.stage.post(this.#sid, step.body);
        break;
      case "webSocket":
        this.#streams.push(this.stage.webSocket(this.#sid).stream);
        break;
      case "vanish":
        if (this.#polls.at(-1)?.done === false) this.#polls.at(-1)?.vanish();
        break;
      case "advance":
        this.stage.clock.advance(step.ms);
        break;
      case "hubSends":
        for (let i = 0; i < step.count; i++) this.connection.line.send(outgoing(`#${this.#sent++}`, [], i === 3));
        break;
      case "hubCloses":
        this.connection.line.close("forced server close");
        break;
      default:
        if (alive) this.#onStream(step, stream);
    }
  }

  #onStream(step: Step, stream: FakeStream): void {
    if (step.do === "probe") stream.send("2probe");
    else if (step.do === "move") stream.send("5");
    else if (step.do === "frame") stream.send(step.text);
    else if (step.do === "garbage") stream.emit("data", Buffer.from(step.bytes));
    else if (step.do === "closeFrame") stream.frame(Opcode.close);
    else if (step.do === "hangUp") stream.destroy();
    else if (step.do === "stuck") stream.stuck = true;
    else if (step.do === "drain") stream.drain();
  }

  /** Numbers of the hub's packets in the order in which the client got them. */
  received(): number[] {
    const texts = [
      ...this.#polls.flatMap((poll) => poll.body.split("\x1e")),
      ...this.#streams.flatMap((s) => s.received),
    ];
    return texts.filter((text) => text.startsWith("4#")).map((text) => Number(text.slice(2)));
  }

  finish(): void {
    this.stage.transports.close();
    this.stage.clock.settle();
    for (const stream of this.#streams) stream.destroy();
    this.stage.clock.advance(30_000);
  }

  get polls(): readonly FakeExchange[] {
    return this.#polls;
  }
}

test("whatever a client does: one end, told once and last; every poll answered; order kept; no timer left", () => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(step, { maxLength: 40 }), (byPolling, steps) => {
      const run = new Run(byPolling);
      for (const one of steps) {
        run.take(one);
        run.stage.clock.settle();
      }
      run.finish();
      const ends = run.connection.heard.filter((line) => line.startsWith("closed: "));
      assert.equal(ends.length, 1);
      assert.equal(run.connection.heard.at(-1), ends[0]);
      assert.equal(run.stage.transports.clientsCount, 0);
      assert.equal(run.stage.clock.pendingCount, 0);
      const numbers = run.received();
      assert.deepEqual(
        numbers,
        [...new Set(numbers)].sort((a, b) => a - b),
        "reordered or doubled",
      );
      // A poll that its client broke off has no answer; every other has one.
      const unanswered = run.polls.filter((poll) => !poll.done).length;
      assert.ok(unanswered <= steps.filter((one) => one.do === "vanish").length);
    }),
    { numRuns: 1000 },
  );
});
