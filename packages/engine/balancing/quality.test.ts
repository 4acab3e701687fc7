/**
 * What the policies are worth: whole runs, with chance and time as arguments. Requests arrive as in a Poisson process; an
 * instance works on a few at a time, the rest wait there, as in a real server.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { type Balance, createPolicy, type Load } from "./index.ts";
import { pool } from "./loads.testing.ts";

interface Host {
  /** Mean time that one request takes. */
  readonly ms: number;
  /** When each of its workers is free. */
  readonly workers: number[];
}

interface Result {
  readonly p50: number;
  readonly p99: number;
  /** Share of the requests per instance. */
  readonly shares: readonly number[];
}

/** 20,000 requests, `perSecond` of them, to hosts that need so many milliseconds and have four workers each. */
function run(balance: Balance, hostsMs: readonly number[], perSecond: number, weights = hostsMs.map(() => 1)): Result {
  const random = new SeededRandom(42);
  const exponential = (mean: number) => -mean * Math.log(1 - random.fraction());
  const loads = pool(weights);
  const hosts: Host[] = hostsMs.map((ms) => ({ ms, workers: [0, 0, 0, 0] }));
  const policy = createPolicy(balance, random);
  const given = hostsMs.map(() => 0);
  const latencies: number[] = [];
  const ends: { at: number; load: Load; ms: number }[] = [];
  let now = 0;
  for (let i = 0; i < 20_000; i++) {
    now += exponential(1000 / perSecond);
    for (let first = ends[0]; first !== undefined && first.at <= now; first = ends[0]) {
      ends.shift();
      first.load.active--;
      first.load.measured(first.ms, first.at);
    }
    const load = policy.pick(loads, now, `${i}`, [])!;
    const at = loads.indexOf(load);
    const { ms, workers } = hosts[at]!;
    workers.sort((a, b) => a - b);
    const end = Math.max(now, workers[0]!) + exponential(ms);
    workers[0] = end;
    load.active++;
    given[at]!++;
    latencies.push(end - now);
    const place = ends.findIndex((other) => other.at > end);
    ends.splice(place < 0 ? ends.length : place, 0, { at: end, load, ms: end - now });
  }
  latencies.sort((a, b) => a - b);
  const quantile = (q: number) => latencies[Math.floor(q * latencies.length)]!;
  return { p50: quantile(0.5), p99: quantile(0.99), shares: given.map((count) => count / latencies.length) };
}

describe("two instances, one four times slower", () => {
  // The fast one can do 400 a second, the slow one 100: together 500.
  const unequal = [10, 40];
  const turns = run("round-robin", unequal, 250);

  for (const balance of ["least-busy", "power-of-two", "fastest"] as const) {
    it(`${balance}: the tail is a fraction of what taking turns makes of it`, () => {
      // Turns give the slow one 125 a second, more than it can do.
      const { p99 } = run(balance, unequal, 250);
      assert.ok(p99 < turns.p99 / 5, `${p99} beside ${turns.p99}`);
    });
  }

  it("fastest gives nearly all to the fast one while that is not busy, and so halves what least-busy needs", () => {
    const [least, fastest] = [run("least-busy", unequal, 100), run("fastest", unequal, 100)];
    assert.ok(fastest.shares[0]! > 0.9, `${fastest.shares}`);
    assert.ok(least.shares[0]! < 0.85, `${least.shares}`);
    assert.ok(fastest.p99 < least.p99 * 0.6, `${fastest.p99} beside ${least.p99}`);
  });

  it("fastest uses the slow one, too, when the fast one alone could not do it all", () => {
    const { p99, shares } = run("fastest", unequal, 450);
    assert.ok(shares[1]! > 0.1, `${shares}`);
    assert.ok(p99 < 400, `${p99}`);
  });

  it("turns by weights that say so are as good as least-busy, which needs none", () => {
    const [weighted, least] = [run("weighted", unequal, 250, [4, 1]), run("least-busy", unequal, 250)];
    assert.ok(weighted.p99 < turns.p99 / 5, `${weighted.p99} beside ${turns.p99}`);
    assert.ok(least.p99 < weighted.p99 * 1.25, `${least.p99} beside ${weighted.p99}`);
  });
});

describe("equal instances", () => {
  for (const balance of ["least-busy", "power-of-two", "fastest", "round-robin", "weighted"] as const) {
    it(`${balance}: nobody is given much more than the others`, () => {
      const { shares } = run(balance, [20, 20, 20], 300);
      for (const share of shares) assert.ok(share > 0.28 && share < 0.39, `${shares}`);
    });
  }
});
