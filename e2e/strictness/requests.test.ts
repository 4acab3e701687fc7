/**
 * Every rule of `packages/wire/http1/README.md` through real sockets: what is refused leaves no trace at a service, what
 * is accepted arrives exactly as the table says, and after every case gateway and services are still in step.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { type Case, show, smuggled } from "./case.ts";
import { Rig } from "./rig.ts";
import { cases } from "./tables/index.ts";

const bytesOf = ({ bytes }: Case): Buffer => Buffer.from(bytes, "latin1");
/** Faults that are shown of one test; a case that fails costs a new gateway. */
const shownMax = 10;

/** All of them, in one gateway as long as nothing fails; what failed is told together. */
async function playAll(some: Iterable<readonly [Case, readonly Buffer[]]>, behind = 0): Promise<void> {
  const failures: string[] = [];
  let rig = await Rig.open();
  for (const [each, pieces] of some) {
    try {
      await rig.play(each, pieces, behind);
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

test("the table holds at least a thousand cases, no two of the same bytes", () => {
  assert.ok(cases.length >= 1000, `${cases.length} cases`);
  const seen = new Set<string>();
  for (const each of cases) {
    const key = `${each.bytes}${each.fin ? "|" : ""}`;
    assert.equal(seen.has(key), false, `twice: ${show(each)}`);
    assert.match(each.bytes, /^[\0-\xff]*$/, "text stands for bytes");
    seen.add(key);
  }
});

for (const [rule, ofRule] of [...Map.groupBy(cases, ({ rule }) => rule)].sort(([a], [b]) => a - b)) {
  test(`rule ${rule}: ${ofRule.length} cases`, () => playAll(ofRule.map((each) => [each, [bytesOf(each)]])));
}

/** What is cut again and again is short, so that the run stays short. */
const short = cases.filter(({ bytes }) => bytes.length <= 250);

/** A repeatable choice of a share of the cases. */
function some(share: number, seed: number): Case[] {
  const random = new SeededRandom(seed);
  return short.filter(() => random.fraction() < share);
}

test("the same comes of cases behind others on their connection, when heads that repeat are remembered", () =>
  playAll(
    some(0.4, 4).map((each) => [each, [bytesOf(each)]]),
    2,
  ));

test("the same comes of cases whose bytes come one by one", () =>
  playAll(some(0.15, 1).map((each) => [each, Array.from(bytesOf(each), (byte) => Buffer.of(byte))])));

test("the same comes of cases in pieces of any size", () => {
  const random = new SeededRandom(2);
  function* cut(bytes: Buffer): Generator<Buffer> {
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + Math.floor(random.fraction() ** 2 * 60);
      yield bytes.subarray(at, end);
      at = end;
    }
  }
  return playAll(some(0.5, 2).map((each) => [each, [...cut(bytesOf(each))]]));
});

test("the same comes of cases in two halves, wherever they are cut", () => {
  function* halves(): Generator<readonly [Case, readonly Buffer[]]> {
    for (const each of some(0.012, 3)) {
      const bytes = bytesOf(each);
      const end = each.bytes.endsWith(smuggled) ? bytes.length - smuggled.length : bytes.length;
      for (let at = 1; at < end; at++) yield [each, [bytes.subarray(0, at), bytes.subarray(at)]];
    }
  }
  return playAll(halves());
});
