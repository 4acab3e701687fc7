/** Compressed messages and polling answers: what is made, what is read, and what is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { constants, deflateRawSync, gunzipSync, inflateSync } from "node:zlib";
import type { Outgoing } from "@tideway/engine/hub";
import fc from "fast-check";
import { WebSocket } from "ws";
import { codingOf, Deflater, inflateMessage } from "./deflate.ts";
import { echoing, startOurs } from "./servers.testing.ts";
import { outgoing, Stage } from "./testing.ts";

const deflated = (data: Uint8Array | string, windowBits = 15) =>
  deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH, windowBits }).subarray(0, -4);
const said = (result: Buffer | string) => (typeof result === "string" ? result : result.toString());

const inflating: [what: string, payload: Buffer, bytesMax: number, result: string][] = [
  ["RFC 7692 §7.2.3.1: one block", Buffer.from("f248cdc9c90700", "hex"), 100, "Hello"],
  ["§7.2.3.3: a stored block", Buffer.from("000500faff48656c6c6f00", "hex"), 100, "Hello"],
  ["§7.2.3.4: a last block", Buffer.from("f348cdc9c9070000", "hex"), 100, "Hello"],
  ["§7.2.3.5: two blocks", Buffer.from("f2480500 0000ffffcac9c90700".replaceAll(" ", ""), "hex"), 100, "Hello"],
  ["§7.2.3.6: an empty message", Buffer.of(0), 100, ""],
  ["nothing at all", Buffer.alloc(0), 100, ""],
  ["exactly the limit", deflated("x".repeat(100)), 100, "x".repeat(100)],
  ["one byte more", deflated("x".repeat(101)), 100, "WS_TOO_BIG"],
  ["a bomb", deflated(Buffer.alloc(50_000_000)), 1_000_000, "WS_TOO_BIG"],
  ["a bomb and a bad byte", Buffer.concat([deflated(Buffer.alloc(5_000_000)), Buffer.of(0xff)]), 1000, "WS_TOO_BIG"],
  ["a bad byte", Buffer.of(0xff), 100, "WS_DEFLATE"],
  ["a torn message", deflated("Hello, hello, hello").subarray(0, 5), 100, "WS_DEFLATE"],
  ["a torn stored block", Buffer.from("000500faff4865", "hex"), 100, "WS_DEFLATE"],
  ["something behind the last block", Buffer.from("f348cdc9c90700f348cdc9c90700", "hex"), 100, "WS_DEFLATE"],
  ["a reference before the beginning", Buffer.from("4a86000200", "hex"), 100, "WS_DEFLATE"],
];

for (const [what, payload, bytesMax, result] of inflating) {
  test(`inflating ${what}`, () => assert.equal(said(inflateMessage(payload, bytesMax)), result));
}

test("a bomb costs no more memory than a message of the size that is allowed", () => {
  const bomb = deflated(Buffer.alloc(200_000_000));
  const before = process.memoryUsage().arrayBuffers;
  assert.equal(inflateMessage(bomb, 100_000), "WS_TOO_BIG");
  assert.ok(process.memoryUsage().arrayBuffers - before < 10_000_000);
});

test("any bytes are inflated or refused, and what was compressed comes back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const result = inflateMessage(Buffer.from(bytes), 1000);
      assert.ok(typeof result === "string" ? result.startsWith("WS_") : result.length <= 1000);
    }),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), fc.integer({ min: 9, max: 15 }), (bytes, bits) => {
      const back = inflateMessage(deflated(bytes, bits), 3000);
      assert.deepEqual(back, Buffer.from(bytes));
    }),
    { numRuns: 100 },
  );
});

const deflateSettings = { thresholdBytes: 10, bytesMax: 1000, level: 6, memLevel: 8, windowBitsMax: 15 };

test("a message is compressed from the threshold on, up to the bound, and where it helps", () => {
  const deflater = new Deflater(deflateSettings, 15);
  assert.equal(deflater.deflate(Buffer.alloc(9)), null);
  assert.equal(deflater.deflate(Buffer.alloc(1001)), null);
  assert.equal(deflater.deflate(Buffer.from("abcdefghij")), null);
  assert.deepEqual(inflateMessage(deflater.deflate(Buffer.alloc(1000, 7))!, 1000), Buffer.alloc(1000, 7));
});

const codings: [accept: string | undefined, coding: string | null][] = [
  [undefined, null],
  ["", null],
  ["br", null],
  ["gzip, deflate, br, zstd", "gzip"],
  ["deflate", "deflate"],
  ["gzip;q=0.5, deflate;q=0.9", "deflate"],
  ["gzip;q=0, deflate;q=0", null],
  ["GZIP ; Q=1", "gzip"],
  ["x-gzip", "gzip"],
  ["*", "gzip"],
  ["*, gzip;q=0", "deflate"],
  ["gzip;q=much", null],
];

for (const [accept, coding] of codings) {
  test(`Accept-Encoding ${accept} is ${coding}`, () => assert.equal(codingOf(accept), coding));
}

test("polling answers are compressed from the threshold on, for those who accept it", async () => {
  // No heartbeat between: it would stand in the answer beside the message.
  const server = await startOurs(echoing, { httpCompression: { thresholdBytes: 100 }, pingIntervalMs: 25_000 });
  const text = "4" + "x".repeat(500);
  for (const [accept, unpack] of [
    ["gzip, deflate", gunzipSync],
    ["deflate", inflateSync],
    ["br", null],
  ] as const) {
    const base = `http://127.0.0.1:${server.port}/engine.io/?EIO=4&transport=polling`;
    const opening = await fetch(base);
    assert.equal(opening.headers.get("content-encoding"), null, "too small");
    const { sid } = JSON.parse((await opening.text()).slice(1)) as { sid: string };
    await fetch(`${base}&sid=${sid}`, { method: "POST", body: text });
    const headers = { "accept-encoding": accept };
    const answer = await fetch(`${base}&sid=${sid}`, { headers });
    assert.equal(answer.headers.get("content-encoding"), unpack === null ? null : accept.split(",")[0]);
    assert.equal(Number(answer.headers.get("content-length")) < 100, unpack !== null);
    assert.equal(await answer.text(), text);
  }
  await server.close();
});

test("without `httpCompression` no answer is compressed", () => {
  const stage = new Stage({ httpCompression: false });
  const { sid, connection } = stage.openPolling();
  connection.line.send(outgoing("x".repeat(5000)));
  const query = `?EIO=4&transport=polling&sid=${sid}`;
  const poll = stage.request({ query, fields: ["accept-encoding", "gzip"] });
  stage.clock.advance(0);
  assert.equal(poll.field("content-encoding"), undefined);
  assert.equal(poll.body.length, 5001);
});

test("the stock ws client: both directions compressed, with every window, text and binary, whole", async () => {
  const server = await startOurs(echoing, {
    perMessageDeflate: true,
    pingIntervalMs: 25_000,
    messageBytesMax: 1_000_000,
  });
  for (const serverMaxWindowBits of [undefined, 9, 12, 15]) {
    const client = new WebSocket(`ws://127.0.0.1:${server.port}/engine.io/?EIO=4&transport=websocket`, {
      perMessageDeflate: { threshold: 0, ...(serverMaxWindowBits === undefined ? {} : { serverMaxWindowBits }) },
    });
    const received: (string | Buffer)[] = [];
    await new Promise<void>((done, fail) => {
      client.on("error", fail);
      client.on("message", (data: Buffer, isBinary: boolean) => {
        received.push(isBinary ? data : data.toString());
        if (received.length === 1) {
          assert.match(client.extensions, /^permessage-deflate/);
          client.send(`4${"é€𝄞".repeat(3000)}`);
          client.send("4short");
          client.send(Buffer.alloc(200_000, "pattern"));
        }
        if (received.length === 5) done();
      });
    });
    assert.deepEqual(received.slice(1), [
      `4${"é€𝄞".repeat(3000)}`,
      "4short",
      "4binary",
      Buffer.alloc(200_000, "pattern"),
    ]);
    client.terminate();
  }
  await server.close();
});

test("a broadcast is compressed once for all that agreed, and not at all where its emit said so", () => {
  const stage = new Stage({ perMessageDeflate: true });
  const offer = ["sec-websocket-extensions", "permessage-deflate; client_max_window_bits"];
  const streams = [offer, offer, [], offer].map((fields) => stage.webSocket(null, fields).stream);
  const written: Buffer[][] = streams.map((stream) => {
    const pieces: Buffer[] = [];
    stream.write = (bytes) => {
      pieces.push(bytes as Buffer);
      return true;
    };
    return pieces;
  });
  const broadcast = (packet: Outgoing) => {
    for (const { line } of stage.connections) line.send(packet);
    stage.clock.advance(0);
  };
  broadcast(outgoing("y".repeat(2000)));
  const [a, b, plain, c] = written.map((pieces) => pieces[0]!);
  assert.ok(a === b && a === c, "one buffer for all");
  assert.equal(a![0], 0xc1);
  assert.ok(a!.length < 100);
  assert.equal(plain![0], 0x81);
  assert.equal(plain!.length, 2001 + 4);
  broadcast({ ...outgoing("y".repeat(2000)), compress: false });
  assert.equal(written[0]![1]![0], 0x81);
  broadcast(outgoing("small"));
  assert.equal(written[0]![2]!.toString("latin1"), "\x81\x064small");
});

test("a packet of text and attachments is compressed frame by frame, in order", async () => {
  const stage = new Stage({ perMessageDeflate: { thresholdBytes: 50 } });
  const { stream } = stage.webSocket(null, ["sec-websocket-extensions", "permessage-deflate"]);
  let bytes = Buffer.alloc(0);
  stream.write = (piece) => {
    bytes = Buffer.concat([bytes, piece as Buffer]);
    return true;
  };
  stage.connections[0]!.line.send(outgoing("t", [Buffer.alloc(500, 1), Buffer.of(1, 2, 3)]));
  stage.clock.advance(0);
  // A short text as it is, an attachment compressed, a short one as it is.
  assert.equal(bytes.subarray(0, 4).toString("latin1"), "\x81\x024t");
  assert.equal(bytes[4], 0xc2);
  assert.deepEqual(inflateMessage(bytes.subarray(6, 6 + bytes[5]!), 1000), Buffer.alloc(500, 1));
  assert.deepEqual(bytes.subarray(-5), Buffer.of(0x82, 3, 1, 2, 3));
});
