import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "@tideway/base/testing";
import { type Heartbeat, Heartbeats } from "./heartbeat.ts";
import { settle } from "./options.ts";

const interval = 1000;
const timeout = 400;

function rig(): { clock: FakeClock; said: string[]; begin(name: string, onBeat?: () => void): Heartbeat } {
  const clock = new FakeClock();
  const said: string[] = [];
  const open = () => ({ text() {}, binary() {}, upgraded() {}, closed() {} });
  const random = { bytes: () => new Uint8Array(), fraction: () => 0, id: () => "id" };
  const { settings } = settle({ pingIntervalMs: interval, pingTimeoutMs: timeout, clock, random, open });
  const all = new Heartbeats(clock, settings);
  const begin = (name: string, onBeat = () => {}): Heartbeat => {
    const beat = all.begin({
      onBeat() {
        said.push(`${clock.now()} ping ${name}`);
        onBeat();
      },
      onSilence() {
        said.push(`${clock.now()} silence ${name}`);
        beat.stop();
      },
    });
    return beat;
  };
  return { clock, said, begin };
}

test("each session is asked, and given up, at its own moment, whatever the others do", () => {
  const { clock, said, begin } = rig();
  const a = begin("a");
  clock.advance(10);
  const b = begin("b");
  clock.advance(5);
  const c = begin("c");
  clock.advance(interval - 15);
  assert.deepEqual(said.splice(0), ["1000 ping a"]);
  clock.advance(100);
  assert.deepEqual(said.splice(0), ["1010 ping b", "1015 ping c"]);
  a.answered();
  c.alive();
  clock.advance(310);
  // Something else than a pong bought c its time-out once more, from 1100 on.
  assert.deepEqual(said.splice(0), ["1410 silence b"]);
  c.alive();
  clock.advance(90);
  assert.deepEqual(said.splice(0), ["1500 silence c"]);
  clock.advance(600);
  assert.deepEqual(said.splice(0), ["2100 ping a"]);
  assert.equal(clock.pendingCount, 1);
  a.stop();
  b.stop();
  assert.equal(clock.pendingCount, 0);
});

test("those of one moment are asked in the order in which they came, also when one of them leaves meanwhile", () => {
  const { clock, said, begin } = rig();
  begin("a", () => b.stop());
  const b = begin("b");
  const c = begin("c");
  begin("d");
  c.answered();
  clock.advance(interval);
  assert.deepEqual(said, ["1000 ping a", "1000 ping d", "1000 ping c"]);
});

test("one whose owner throws takes nobody else's heartbeat with it", () => {
  const { clock, said, begin } = rig();
  begin("a", () => {
    throw new Error("a listener's");
  });
  begin("b");
  assert.throws(() => clock.advance(interval), /a listener's/);
  clock.advance(1);
  assert.deepEqual(said, ["1000 ping a", "1000 ping b"]);
});

test("a thousand sessions take two timers at most", () => {
  const { clock, begin } = rig();
  const beats = Array.from({ length: 1000 }, (_, at) => {
    clock.advance(1);
    return begin(String(at));
  });
  clock.advance(interval / 2);
  assert.equal(clock.pendingCount, 2);
  for (const beat of beats) beat.stop();
  assert.equal(clock.pendingCount, 0);
});
