/**
 * Everything at once, at random, against a ledger: clients come, drop, vanish, pause, ask, leave and come back, servers come,
 * die and leave, the disk is slow, the hub is killed, time passes. Each session must get each event of its rooms once and in
 * order; each event of a client must be handled once, and in the order of its connection; a question on a line that lives is
 * answered; presence is who is there. Every run can be repeated by its seed: TIDEWAY_SEED=17 runs that one alone.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Rules, World } from "./model.testing.ts";

const everything = Number.POSITIVE_INFINITY;
const kinds: Record<string, Rules> = {
  "and servers come and go": { kills: false, retentionBytes: everything },
  "and the hub is killed now and then": { kills: true, retentionBytes: everything },
  "and what is old is forgotten": { kills: true, retentionBytes: 1_500 },
};

const only = process.env["TIDEWAY_SEED"];
const seeds = only === undefined ? Array.from({ length: 60 }, (_, at) => at + 1) : [Number(only)];

/** One history of that seed; what its hub counted (since its last kill). */
function live(seed: number, rules: Rules) {
  const world = new World(seed, 5, rules);
  try {
    for (let round = 0; round < 3; round++) {
      for (let step = 0; step < 150; step++) world.step();
      world.settle();
      world.check();
    }
  } catch (cause) {
    throw new Error(`TIDEWAY_SEED=${seed} repeats this`, { cause });
  }
  return world.hub.status().counters;
}

for (const [name, rules] of Object.entries(kinds)) {
  test(`each client gets each event of its rooms once, in order, whatever happens (${name})`, () => {
    const seen = { recovered: 0, unrecovered: 0, ghosts: 0, handovers: 0, unanswered: 0 };
    for (const seed of seeds) {
      const counters = live(seed, rules);
      for (const key of Object.keys(seen) as (keyof typeof seen)[]) seen[key] += counters[key];
    }
    if (only !== undefined) return;
    // Otherwise the runs would prove nothing.
    const text = JSON.stringify(seen);
    assert.ok(seen.recovered > 40 && seen.ghosts > 50 && seen.handovers > 200 && seen.unanswered > 3, text);
    if (rules.retentionBytes === everything) assert.equal(seen.unrecovered, 0, "whoever may be recovered is recovered");
    else assert.ok(seen.unrecovered > 20, text);
  });
}
