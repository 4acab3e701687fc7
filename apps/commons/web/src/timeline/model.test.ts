import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Post } from "../../../contract.ts";
import { accept, append, emptyTimeline, release, replace, type Timeline, visible } from "./model.ts";

function post(id: number, version = 1, deleted = false): Post {
  return {
    id: String(id),
    author: { id: "1", name: "ada" },
    body: deleted ? "" : `${id}.${version}`,
    version,
    createdAt: "2026-01-01T00:00:00.000Z",
    editedAt: null,
    deletedAt: deleted ? "2026-01-01T00:01:00.000Z" : null,
  };
}

const bodies = (timeline: Timeline) => visible(timeline).map((shown) => shown.body);
const all = (posts: Post[], from = emptyTimeline) => posts.reduce((timeline, next) => accept(timeline, next), from);

test("posts are shown newest first, by number and not by text", () => {
  assert.deepEqual(bodies(all([post(9), post(10), post(2)])), ["10.1", "9.1", "2.1"]);
});

test("a late copy never replaces a newer one, nor brings a deleted post back", () => {
  assert.deepEqual(bodies(all([post(1, 3), post(1, 2)])), ["1.3"]);
  assert.deepEqual(bodies(all([post(1, 1), post(1, 2, true), post(1, 1)])), []);
  assert.deepEqual(bodies(all([post(1, 2, true), post(1, 1)])), []);
  assert.deepEqual(bodies(all([post(1, 2, true), post(1, 3)])), ["1.3"]);
});

test("in whatever order changes arrive, the newest version of each is shown", () => {
  const history = [post(1), post(1, 2), post(2), post(2, 2, true), post(3), post(3, 2, true), post(3, 3)];
  const right = bodies(all(history));
  const shuffled = fc.shuffledSubarray(history, { minLength: history.length, maxLength: history.length });
  fc.assert(fc.property(shuffled, (order) => assert.deepEqual(bodies(all(order)), right)));
});

test("new posts can be held back, and changes of posts that are shown cannot", () => {
  let timeline = all([post(1)]);
  timeline = accept(timeline, post(2), true);
  timeline = accept(timeline, post(1, 2), true);
  assert.deepEqual(bodies(timeline), ["1.2"]);
  assert.equal(timeline.held.size, 1);
  timeline = accept(timeline, post(2, 2, true), true);
  assert.equal(timeline.held.size, 0);
  timeline = accept(timeline, post(3), true);
  assert.deepEqual(bodies(release(timeline)), ["3.1", "1.2"]);
});

test("a change of a post older than what is loaded waits for its page", () => {
  const timeline = append(emptyTimeline, { posts: [post(9), post(8)], next: "cursor" });
  assert.equal(accept(timeline, post(3, 2)), timeline);
  const whole = append(timeline, { posts: [post(3, 2)], next: null });
  assert.deepEqual(bodies(accept(whole, post(1, 2))), ["9.1", "8.1", "3.2", "1.2"]);
});

test("a page that was read before an event does not undo it", () => {
  const timeline = accept(append(emptyTimeline, { posts: [post(9), post(8)], next: "c" }), post(8, 2));
  assert.deepEqual(bodies(append(timeline, { posts: [post(8), post(7)], next: null })), ["9.1", "8.2", "7.1"]);
});

test("a fresh reading removes what was deleted unseen and keeps what arrived while it was read", () => {
  const old = all([post(1), post(2), post(3)]);
  const fresh = replace(
    old,
    { posts: [post(3, 2), post(1)], next: null },
    [post(4), post(3, 3), post(1, 2, true)],
    false,
  );
  assert.deepEqual(bodies(fresh), ["4.1", "3.3"]);
});

test("while the reader is further down, a fresh reading holds back what is new", () => {
  const old = accept(all([post(1), post(2)]), post(3), true);
  const fresh = replace(old, { posts: [post(4), post(3), post(2), post(1)], next: null }, [], true);
  assert.deepEqual(bodies(fresh), ["2.1", "1.1"]);
  assert.deepEqual([...fresh.held].sort(), ["3", "4"]);
});
