import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fare, rig, stateOf, three } from "./pools.testing.ts";

describe("ejection", () => {
  it("never takes the last one that is up: a probe is to find out", () => {
    const rig = three({ health: { everyMs: 60_000 } });
    const { pool, clock, asked, answer } = rig;
    for (const id of ["a", "b"]) fare(rig, id, "failed", 2);
    assert.deepEqual(
      pool.status().map(({ state }) => state),
      ["down", "down", "up"],
    );
    clock.advance(0);
    assert.ok(!asked.has(3));
    fare(rig, "c", "failed", 2);
    assert.equal(stateOf(rig, "c").state, "up");
    clock.advance(100);
    assert.ok(asked.has(3));
    answer(3, false);
    clock.advance(66_000);
    answer(3, false);
    assert.equal(stateOf(rig, "c").state, "down");
    assert.equal(stateOf(rig, "c").why, "probe: no");
    assert.equal(pool.ejections, 2);
  });

  it("one to which no connection comes about is gone, be it the last one", () => {
    const rig = three();
    for (const id of ["a", "b", "c"]) for (let i = 0; i < 2; i++) rig.member(id).failed("refused", true);
    assert.equal(rig.pool.pick(""), null);
    assert.ok(!rig.pool.hasUp);
    assert.ok(rig.pool.isPromising(5000));
    assert.equal(stateOf(rig, "c").breaker, "closed");
  });

  it("by statuses, where they count as failures: a passing probe does not end it, a good trial does", () => {
    const rig = three({ eject: { statuses: [[500, 599]] } });
    const { pool, clock, answer } = rig;
    fare(rig, "a", 500);
    fare(rig, "a", 404);
    fare(rig, "a", 500);
    assert.equal(stateOf(rig, "a").state, "up");
    fare(rig, "a", 500);
    const { state, why, failures, breaker } = stateOf(rig, "a");
    assert.deepEqual([state, why, failures, breaker], ["down", "request: status 500", 3, "open"]);
    clock.advance(100);
    answer(1, true);
    assert.equal(stateOf(rig, "a").state, "down");
    clock.advance(900);
    assert.equal(stateOf(rig, "a").breaker, "half-open");
    assert.equal(pool.pick("", [rig.member("b"), rig.member("c")])!.id, "a");
    fare(rig, "a", 200);
    assert.equal(stateOf(rig, "a").state, "up");
  });

  it("without such a rule a status says nothing", () => {
    const rig = three();
    fare(rig, "a", 500, 100);
    assert.equal(stateOf(rig, "a").state, "up");
    assert.equal(rig.pool.failures, 0);
  });

  it("by the share of failures in a window, however they are spread", () => {
    const rig = three({ eject: { failureShare: 0.5, requestsMin: 20 } });
    for (let i = 0; i < 9; i++) {
      fare(rig, "a", "well");
      fare(rig, "a", "failed");
    }
    assert.equal(stateOf(rig, "a").state, "up");
    fare(rig, "a", "well");
    fare(rig, "a", "failed");
    assert.equal(stateOf(rig, "a").state, "down");
    assert.equal(stateOf(rig, "a").why, "50 % of its requests failed");
  });

  it("answers that broke off count in that share, but not in a row", () => {
    const made = three({ eject: { failureShare: 0.5, requestsMin: 20 } });
    for (let i = 0; i < 9; i++) {
      fare(made, "a", "well");
      made.member("a").brokeOff(0);
    }
    assert.equal(stateOf(made, "a").state, "up");
    fare(made, "a", "well");
    for (let i = 0; i < 2; i++) made.member("a").brokeOff(0);
    assert.equal(stateOf(made, "a").state, "down");
    const plain = three();
    for (let i = 0; i < 10; i++) plain.member("a").brokeOff(0);
    assert.equal(stateOf(plain, "a").state, "up");
    assert.equal(plain.pool.failures, 10);
  });

  it("by latency, beside the others, with samples enough", () => {
    const rig = three({ eject: { latencyFactor: 3, samplesMin: 10 } });
    for (let i = 0; i < 12; i++) {
      fare(rig, "a", "well", 1, 100);
      fare(rig, "b", "well", 1, 110);
      fare(rig, "c", "well", 1, 900);
      if (i < 9) assert.equal(stateOf(rig, "c").state, "up");
      rig.clock.advance(100);
    }
    fare(rig, "a", "well", 1, 100);
    const { state, why } = stateOf(rig, "c");
    assert.equal(state, "down");
    assert.match(why, /^latency 900 ms/);
    // What it has left to answer says nothing about it; what a trial says does, and then it is measured anew.
    fare(rig, "c", "well", 1, 5000);
    assert.equal(stateOf(rig, "c").state, "down");
    rig.clock.advance(1000);
    fare(rig, "c", "well", 1, 50);
    assert.equal(stateOf(rig, "c").state, "up");
    assert.equal(stateOf(rig, "c").latencyMs, -1);
  });

  it("what began before it came up again does not count against it", () => {
    const rig = three();
    const { clock, answer, member } = rig;
    clock.advance(1000);
    for (let i = 0; i < 2; i++) member("a").failed("refused", true);
    clock.advance(100);
    answer(1, true);
    assert.equal(stateOf(rig, "a").state, "up");
    for (let i = 0; i < 5; i++) member("a").failed("broken", false, 500);
    assert.equal(stateOf(rig, "a").state, "up");
    assert.equal(stateOf(rig, "a").failures, 7);
  });

  it("counts of instances that were removed stay in the service's", () => {
    const rig = three();
    fare(rig, "a", "failed", 2);
    rig.pool.remove("a");
    assert.deepEqual([rig.pool.failures, rig.pool.ejections], [2, 1]);
  });
});

describe("an instance that does not answer", () => {
  it("says why, and once for each reason, also before it ever did", () => {
    const made = rig();
    made.pool.add({ id: "a", host: "192.0.2.1", port: 1 });
    assert.equal(stateOf(made, "a").why, "not checked yet");
    for (const why of ["ECONNREFUSED", "ECONNREFUSED", "status 503"]) {
      made.asked.get(1)!(false, why);
      made.asked.delete(1);
      made.clock.advance(100);
      assert.deepEqual([stateOf(made, "a").state, stateOf(made, "a").why], ["checking", `probe: ${why}`]);
    }
    assert.deepEqual(
      made.log.lines.map(({ message, fields }) => [message, fields["why"]]),
      [
        ["instance does not answer yet", "probe: ECONNREFUSED"],
        ["instance does not answer yet", "probe: status 503"],
      ],
    );
  });

  it("one that went down shows what its probes say now", () => {
    const made = three();
    for (let i = 0; i < 2; i++) made.member("a").failed("refused", true);
    made.clock.advance(100);
    made.answer(1, false);
    assert.equal(stateOf(made, "a").why, "probe: no");
  });
});

describe("the service's breaker", () => {
  it("opens when all of it fails, whichever instance it was, and closes by trials", () => {
    const rig = three({ breaker: {}, eject: { failures: 0 } });
    const { pool, clock } = rig;
    assert.ok(pool.breaker!.admits(clock.now()));
    for (const id of ["a", "b", "c"]) fare(rig, id, "failed", 7);
    assert.ok(!pool.breaker!.admits(clock.now()));
    clock.advance(5000);
    for (let i = 0; i < 3; i++) {
      assert.ok(pool.breaker!.admits(clock.now()));
      fare(rig, "a", "well");
    }
    assert.equal(pool.breaker!.stateAt(clock.now()), "closed");
  });

  it("the same settings keep what it knows; none take it away", () => {
    const rig = three({ breaker: {}, eject: { failures: 0 } });
    fare(rig, "a", "failed", 20);
    rig.pool.configure({ breaker: {}, eject: { failures: 0 } });
    assert.equal(rig.pool.breaker!.stateAt(0), "open");
    rig.pool.configure({});
    assert.equal(rig.pool.breaker, null);
  });
});
