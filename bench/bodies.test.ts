import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { bodies } from "./load/bodies.ts";
import { BodyReader, bodyPiece, writeBody } from "./load/body.ts";
import { startGateways } from "./measure/contenders.ts";
import { forgetPeak, peakOf, residentOf } from "./measure/memory.ts";

/** A little over ten pieces. */
const bytes = 10 * bodyPiece.length + 12_345;

test("large bodies, small: down and up through each gateway every byte arrives in its place", async () => {
  await using gateways = await startGateways({ core: "any", origin: "bodies" });
  for (const { name, port } of gateways.contenders) {
    for (const direction of ["down", "up"] as const) {
      const load = { type: "bodies", port, direction, bytes, connections: 2, each: 2, compares: true } as const;
      assert.equal((await bodies(load)).bodies, 4, `${name}, ${direction}`);
    }
  }
});

test("a body is whole however its bytes are cut, and another one when a byte differs, is missing or comes twice", () => {
  const chunks: Buffer[] = [];
  writeBody({ write: (chunk) => chunks.push(Buffer.from(chunk)) > 0, once: () => {} }, bytes, () => {});
  const whole = Buffer.concat(chunks);
  const random = new SeededRandom(1);
  const read = (body: Buffer): BodyReader => {
    const reader = new BodyReader(true);
    for (let at = 0; at < body.length; ) {
      const end = Math.min(body.length, at + 1 + Math.floor(random.fraction() * 100_000));
      reader.feed(body.subarray(at, end));
      at = end;
    }
    return reader;
  };
  assert.equal(whole.length, bytes);
  assert.deepEqual([read(whole).bytes, read(whole).isRight], [bytes, true]);
  const changed = Buffer.from(whole);
  changed[1_000_000]! ^= 1;
  assert.equal(read(changed).isRight, false);
  const cut = 64 * 1024;
  assert.equal(read(Buffer.concat([whole.subarray(0, cut), whole.subarray(2 * cut)])).isRight, false);
  assert.equal(read(Buffer.concat([whole.subarray(0, cut), whole])).isRight, false);
});

test("a slow reader is waited for", () => {
  let written = 0;
  let resume: (() => void) | null = null;
  let isOver = false;
  const sink = {
    write: (chunk: Buffer) => {
      written += chunk.length;
      return false;
    },
    once: (_: "drain", run: () => void) => {
      resume = run;
    },
  };
  writeBody(sink, 2 * bodyPiece.length + 1, () => {
    isOver = true;
  });
  assert.equal(written, bodyPiece.length);
  resume!();
  assert.equal(written, 2 * bodyPiece.length);
  assert.equal(isOver, false);
  resume!();
  assert.deepEqual([written, isOver], [2 * bodyPiece.length + 1, true]);
});

test("memory: what a process has now, and the most since it was forgotten", () => {
  forgetPeak(process.pid);
  const before = residentOf(process.pid);
  const size = 64 * 1024 * 1024;
  const held = Buffer.alloc(size, 1);
  assert.ok(residentOf(process.pid) > before + size / 2, `${held.length} bytes more`);
  assert.ok(peakOf(process.pid) > before + size / 2);
});
