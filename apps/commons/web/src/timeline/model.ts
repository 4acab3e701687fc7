/**
 * The timeline as a value: which copy of a post is right and which posts are shown. Pure, so that every order in which
 * answers and events can arrive is testable. Knows no network and no page.
 */
import type { Post, PostPage } from "../../../contract.ts";

export interface Timeline {
  /** Every post known, deleted ones too: a late copy of one must not bring it back. */
  readonly posts: ReadonlyMap<string, Post>;
  /** Cursor of the next page; null when all are here. */
  readonly next: string | null;
  /** Posts that are known but wait for the reader, who has scrolled away from the top. */
  readonly held: ReadonlySet<string>;
}

export const emptyTimeline: Timeline = { posts: new Map(), next: null, held: new Set() };

/** Of two copies the higher version is right; of equals the newcomer, which may be the author's fuller one. */
function newer(known: Post | undefined, post: Post): boolean {
  return known === undefined || post.version >= known.version;
}

/** Takes in one post, from an event or an answer. `hold`: if it is a new one, do not show it yet. */
export function accept(timeline: Timeline, post: Post, hold = false): Timeline {
  const known = timeline.posts.get(post.id);
  if (!newer(known, post)) return timeline;
  // Older than all that is loaded: it will come with its page.
  if (known === undefined && timeline.next !== null && order(post) < oldest(timeline)) return timeline;
  const posts = new Map(timeline.posts).set(post.id, post);
  const shownBefore = known !== undefined && known.deletedAt === null;
  const held = new Set(timeline.held);
  if (hold && !shownBefore && post.deletedAt === null) held.add(post.id);
  if (post.deletedAt !== null) held.delete(post.id);
  return { ...timeline, posts, held };
}

/** Takes in the page that follows the cursor `timeline.next`. */
export function append(timeline: Timeline, page: PostPage): Timeline {
  const posts = new Map(timeline.posts);
  for (const post of page.posts) if (newer(posts.get(post.id), post)) posts.set(post.id, post);
  return { ...timeline, posts, next: page.next };
}

/**
 * A fresh reading of the timeline in place of the old one. What arrived while it was being read is not in `old` but in
 * `meanwhile`: applied on top, the higher version wins, so nothing is missed between the two.
 */
export function replace(old: Timeline, page: PostPage, meanwhile: readonly Post[], hold: boolean): Timeline {
  let timeline: Timeline = {
    posts: new Map(page.posts.map((post) => [post.id, post])),
    next: page.next,
    held: new Set(),
  };
  for (const post of meanwhile) timeline = accept(timeline, post);
  if (!hold) return timeline;
  const held = [...timeline.posts.keys()].filter((id) => old.held.has(id) || !old.posts.has(id));
  return { ...timeline, held: new Set(held) };
}

export function release(timeline: Timeline): Timeline {
  return timeline.held.size === 0 ? timeline : { ...timeline, held: new Set() };
}

/** What is shown, newest first. */
export function visible(timeline: Timeline): Post[] {
  const shown: Post[] = [];
  for (const post of timeline.posts.values()) {
    if (post.deletedAt === null && !timeline.held.has(post.id)) shown.push(post);
  }
  return shown.sort((a, b) => order(b) - order(a));
}

/** Ids grow with time and are never used twice. */
export function order(post: Post): number {
  return Number(post.id);
}

function oldest(timeline: Timeline): number {
  let least = Number.POSITIVE_INFINITY;
  for (const post of timeline.posts.values()) least = Math.min(least, order(post));
  return least;
}
