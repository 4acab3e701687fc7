import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { compare, figureOf, type PolicyResult, quantile, tableOf } from "./balance.ts";
import { poisson } from "./load/arrivals.ts";
import { svgOf } from "./measure/figure.ts";

test("balancing, small: each policy gets the same arrivals, and each is answered once by one of the two", async () => {
  const options = { perSecond: 200, seconds: 0.3, warmUpSeconds: 0, rounds: 2, seed: 7, core: "any" } as const;
  const results = await compare(options, () => {});
  const sent = [7, 8].map((seed) => poisson(new SeededRandom(seed), options.perSecond, options.seconds).length);
  const all = sent[0]! + sent[1]!;
  assert.ok(all > 80, `${all} requests`);
  assert.deepEqual(
    results.map(({ policy }) => policy),
    ["round-robin", "power-of-two", "least-busy", "fastest"],
  );
  for (const { policy, latencies, answered } of results) {
    assert.equal(latencies.length, all, policy);
    assert.equal((answered.get("fast") ?? 0) + (answered.get("slow") ?? 0), all, policy);
  }
  const turns = results[0]!.answered;
  assert.ok(Math.abs(turns.get("fast")! - turns.get("slow")!) <= 1, "taking turns gives both as many");
});

test("arrivals are as many as asked for, in order, of work around 1, and the same for the same seed", () => {
  const arrivals = poisson(new SeededRandom(3), 1000, 20);
  assert.ok(Math.abs(arrivals.length - 20_000) < 600, `${arrivals.length}`);
  assert.ok(arrivals.every(({ at }, index) => at >= (arrivals[index - 1]?.at ?? 0) && at < 20_000));
  const mean = arrivals.reduce((sum, { work }) => sum + work, 0) / arrivals.length;
  assert.ok(Math.abs(mean - 1) < 0.03, `${mean}`);
  assert.deepEqual(poisson(new SeededRandom(3), 1000, 20), arrivals);
});

const made: PolicyResult[] = (["round-robin", "fastest"] as const).map((policy, index) => ({
  policy,
  latencies: Array.from({ length: 1000 }, (_, at) => (at + 1) / (index + 1)),
  answered: new Map([["fast", index === 0 ? 500 : 900]]),
}));

test("a quantile is the latency that so many did not exceed", () => {
  assert.equal(quantile(made[0]!.latencies, 0), 1);
  assert.equal(quantile(made[0]!.latencies, 0.5), 501);
  assert.equal(quantile(made[0]!.latencies, 0.99), 991);
  assert.equal(quantile(made[0]!.latencies, 1), 1000);
});

test("the table has p50, p90 and p99, beside round-robin's, and who answered", () => {
  assert.deepEqual(
    tableOf(made)
      .split("\n")
      .map((line) => line.trim().split(/\s{2,}/)),
    [
      ["p50 ms", "p90 ms", "p99 ms", "÷ round-robin", "to the fast one"],
      ["round-robin", "501.0", "901.0", "991.0", "1.00", "50 %"],
      ["fastest", "250.5", "450.5", "495.5", "0.50", "90 %"],
    ],
  );
});

test("the figure names axes with units and every policy, and draws each as a line within the axes", () => {
  const svg = svgOf(figureOf(made, 180));
  for (const text of [
    "latency (ms",
    "(%)",
    "round-robin",
    "fastest",
    "p99 991 ms",
    "p99 496 ms",
    ">99.9<",
    ">1,000<",
  ]) {
    assert.ok(svg.includes(text), text);
  }
  const lines = [...svg.matchAll(/<polyline points="([^"]+)"/g)].map(([, points]) =>
    points!.split(" ").map((point) => point.split(",").map(Number)),
  );
  assert.equal(lines.length, 2);
  for (const line of lines) {
    assert.ok(line.length > 100);
    assert.ok(line.every(([x, y]) => x! >= 78 && x! <= 772 && y! >= 84 && y! <= 438));
    assert.ok(line.every(([x, y], at) => at === 0 || (x! > line[at - 1]![0]! && y! <= line[at - 1]![1]!)));
  }
});
