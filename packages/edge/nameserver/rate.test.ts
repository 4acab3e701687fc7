import assert from "node:assert/strict";
import { test } from "node:test";
import { networkOf, RateLimiter, rateLimitDefaults, Verdict } from "./rate.ts";

test("a network has its burst, then its rate; what is over slips every other time", () => {
  const limiter = new RateLimiter({ ...rateLimitDefaults, perSecond: 10, burst: 3 });
  const verdicts = Array.from({ length: 7 }, (_, i) => limiter.judge(`192.0.2.${i}`, 0));
  assert.deepEqual(verdicts, [
    ...Array(3).fill(Verdict.answer),
    Verdict.drop,
    Verdict.slip,
    Verdict.drop,
    Verdict.slip,
  ]);
  assert.equal(limiter.judge("192.0.2.1", 100), Verdict.answer);
  assert.notEqual(limiter.judge("192.0.2.1", 100), Verdict.answer);
});

test("networks do not share a bucket, and loopback is not limited", () => {
  const limiter = new RateLimiter({ ...rateLimitDefaults, perSecond: 1, burst: 1 });
  assert.equal(limiter.judge("192.0.2.1", 0), Verdict.answer);
  assert.equal(limiter.judge("192.0.3.1", 0), Verdict.answer);
  assert.equal(limiter.judge("192.0.2.9", 0), Verdict.drop);
  for (let i = 0; i < 10; i++) assert.equal(limiter.judge("127.0.0.1", 0), Verdict.answer);
});

test("the memory of networks is bounded: the one unheard for longest is forgotten", () => {
  const limiter = new RateLimiter({ ...rateLimitDefaults, perSecond: 1, burst: 1, networksMax: 2 });
  for (const network of [1, 2, 3]) assert.equal(limiter.judge(`10.0.${network}.1`, 0), Verdict.answer);
  assert.notEqual(limiter.judge("10.0.3.1", 0), Verdict.answer);
  assert.equal(limiter.judge("10.0.1.1", 0), Verdict.answer);
});

test("a network is 24 bits of IPv4 and 56 of IPv6, in every spelling", () => {
  assert.equal(networkOf("192.0.2.77"), "192.0.2");
  assert.equal(networkOf("::ffff:192.0.2.77"), "192.0.2");
  assert.equal(networkOf("2001:db8:1:ff00::1"), networkOf("2001:db8:1:ff99:5:6:7:8"));
  assert.notEqual(networkOf("2001:db8:1:ff00::1"), networkOf("2001:db8:1:fe00::1"));
  assert.equal(networkOf("fe80::1%eth0"), networkOf("fe80::2"));
});
