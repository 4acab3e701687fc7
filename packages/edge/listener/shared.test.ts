import assert from "node:assert/strict";
import { test } from "node:test";
import { limits, silentLogger } from "@tideway/base";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { Shared } from "./shared.ts";

function start(clock: FakeClock): Shared {
  const options = { host: "127.0.0.1", port: 0, clock, random: new SeededRandom(1), limits };
  return new Shared({ ...options, logger: silentLogger, onExchange: () => {} });
}

test("request ids are a random beginning and a count, each once", () => {
  const shared = start(new FakeClock());
  const [prefix] = shared.nextId().split("-1");
  for (let count = 2; count < 5_000; count++) assert.equal(shared.nextId(), `${prefix}-${count.toString(36)}`);
});

test("the date is that of the second", () => {
  const clock = new FakeClock();
  const shared = start(clock);
  assert.equal(shared.dateLine(), "date: Thu, 01 Jan 2026 00:00:00 GMT\r\n");
  clock.advance(999);
  assert.equal(shared.dateLine(), "date: Thu, 01 Jan 2026 00:00:00 GMT\r\n");
  clock.advance(1);
  assert.equal(shared.dateLine(), "date: Thu, 01 Jan 2026 00:00:01 GMT\r\n");
});
