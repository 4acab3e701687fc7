/**
 * WebSocket framing through real sockets: a table of what clients send, against our transports and against the stock `ws`;
 * then anything at all. A healthy connection stands beside it all the time and must not notice.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { WebSocket } from "ws";
import { bye, type FramingServer, frame, offer, say, startFraming, startStock } from "./framing.testing.ts";
import { type FramingCase, framingCases } from "./framing-cases.testing.ts";

let ours: FramingServer;
let stock: FramingServer;
let healthy: WebSocket;
let answered: (text: string) => void = () => {};

before(async () => {
  ours = await startFraming();
  stock = await startStock();
  healthy = new WebSocket(`ws://127.0.0.1:${ours.port}/engine.io/?EIO=4&transport=websocket`);
  await new Promise((opened) => healthy.once("message", opened));
  healthy.on("message", (data) => answered(String(data)));
});

after(async () => {
  assert.equal(healthy.readyState, WebSocket.OPEN);
  healthy.terminate();
  await ours.close();
  await stock.close();
});

async function assertHealthy(): Promise<void> {
  const text = `4${Math.random()}`;
  const back = new Promise<string>((done) => {
    answered = done;
  });
  healthy.send(text);
  assert.equal(await back, text);
}

/** Runs cases, some at a time, and returns those that went otherwise. */
async function failures(
  server: FramingServer,
  cases: readonly FramingCase[],
  wanted: (one: FramingCase) => readonly string[],
) {
  const failed: unknown[] = [];
  const rest = [...cases];
  const worker = async () => {
    for (let one = rest.pop(); one !== undefined; one = rest.pop()) {
      const said = await say(server.port, one.bytes, one.offer ?? "");
      if (said.join() !== wanted(one).join()) failed.push({ name: one.name, wanted: wanted(one), said });
    }
  };
  await Promise.all([...Array(16).keys()].map(worker));
  return failed;
}

const groups = framingCases();

test("the table holds at least 500 cases", () => {
  const total = [...groups.values()].reduce((sum, cases) => sum + cases.length, 0);
  assert.ok(total >= 500, `${total}`);
});

for (const [group, cases] of groups) {
  test(`${group}: ${cases.length} cases`, async () => {
    assert.deepEqual(await failures(ours, cases, ({ says }) => says), []);
    await assertHealthy();
  });

  test(`${group}: the stock server says the same, or a comment says why not`, async () => {
    assert.deepEqual(await failures(stock, cases, ({ says, stock }) => stock ?? says), []);
  });
}

const anyFrame = fc.record({
  fin: fc.boolean(),
  rsv: fc.oneof({ weight: 5, arbitrary: fc.constantFrom(0, 4) }, fc.nat(7)),
  opcode: fc.oneof({ weight: 5, arbitrary: fc.constantFrom(0, 1, 2, 8, 9, 10) }, fc.nat(15)),
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 140 }),
    fc.string({ unit: "binary", maxLength: 40 }).map((text) => `4${text}`),
  ),
  key: fc.oneof({ weight: 9, arbitrary: fc.integer() }, fc.constant(null)),
});

test("any frames in any order end with a close code that says why, and the healthy one reads on", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyFrame, { maxLength: 6 }), fc.boolean(), async (frames, compressed) => {
      const said = await say(ours.port, Buffer.concat([...frames.map(frame), bye]), compressed ? offer : "");
      // Engine.IO's own word for a packet that it does not know is 1002 as well.
      assert.match(said.at(-1) ?? "nothing", /^close (1[0-9]{3}|[34][0-9]{3})$/);
      assert.equal(said.filter((event) => event.startsWith("close")).length, 1);
    }),
    { numRuns: 300 },
  );
  await assertHealthy();
});

test("any bytes at all, cut anywhere, are answered with a close or the end", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 4 }), async (pieces) => {
      // A protocol error is certain behind them: an unmasked frame, within whatever has been announced or as its own head.
      const end = Buffer.alloc(70_000, 0x0f);
      const said = await say(ours.port, [...pieces.map((piece) => Buffer.from(piece)), end], offer).catch(() => [
        "close",
      ]);
      assert.ok(said.length > 0);
    }),
    { numRuns: 100 },
  );
  await assertHealthy();
});
