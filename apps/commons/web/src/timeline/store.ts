/**
 * The timeline of this page: what is loaded, what is on its way to the server, and the actions on both. Joins the pure
 * model with the API; the live connection feeds `receive` and `reload`.
 */
import { batch, computed, signal } from "@preact/signals";
import {
  type Account,
  lengthOf,
  PAGE_SIZE,
  PAGE_SIZE_MAX,
  POST_LENGTH_MAX,
  type Post,
  type PostPage,
  tidyBody,
} from "../../../contract.ts";
import { account, expireSession } from "../account/store.ts";
import { api, RequestError } from "../api.ts";
import { keep, recall } from "../kept.ts";
import { accept, append, emptyTimeline, order, release, replace, visible } from "./model.ts";

export const DraftState = {
  sending: "sending",
  /** No answer, or a fault of the server: sent again by itself a few times, then on request. */
  failed: "failed",
  /** The server said no; sending it again would not help. */
  refused: "refused",
} as const;
export type DraftState = (typeof DraftState)[keyof typeof DraftState];

/** A post that the server has not confirmed. The key names it for good: however often it is sent, it is posted once. */
export interface Draft {
  readonly key: string;
  /** Sent only while this account is signed in: nobody posts another's words. */
  readonly author: Account;
  readonly body: string;
  readonly writtenAt: string;
  readonly state: DraftState;
  readonly message: string;
}

export const LoadState = { loading: "loading", ready: "ready", failed: "failed" } as const;
export type LoadState = (typeof LoadState)[keyof typeof LoadState];

const RELOAD_PAGES_MAX = 5;
const RETRY_DELAYS_MS = [800, 2000, 4000, 8000];
const RELOAD_RETRY_MS = 3000;
const LEAVING_MS = 220;
/** Nearer to the top than this, new posts slide in; further down they wait behind a button. */
const TOP_PX = 240;

const timeline = signal(emptyTimeline);
export const loadState = signal<LoadState>(LoadState.loading);
export const moreState = signal<LoadState>(LoadState.ready);
const drafts = signal<readonly Draft[]>(keptDrafts());
drafts.subscribe((all) => keep("drafts", all));
export const ownDrafts = computed(() => drafts.value.filter((draft) => draft.author.id === account.value?.id));
/** Ids that came in live: they slide in. */
export const arrived = signal<ReadonlySet<string>>(new Set());
/** Posts that were just deleted and are folding away. */
export const leaving = signal<readonly Post[]>([]);
/** The last thing worth saying aloud to who cannot see it. */
export const announcement = signal("");
/** The post that can be brought back with Undo. */
export const undoable = signal<{ readonly post: Post; readonly byKeyboard: boolean } | null>(null);
export const notice = signal("");

export const shownPosts = computed(() => {
  const folding = leaving.value.filter((post) => timeline.value.posts.get(post.id)?.deletedAt !== null);
  const posts = visible(timeline.value);
  return folding.length === 0 ? posts : [...posts, ...folding].sort((a, b) => order(b) - order(a));
});
export const heldCount = computed(() => timeline.value.held.size);
export const hasMore = computed(() => timeline.value.next !== null);

/** Ids of posts that stood here as drafts: they need not slide in again. */
const wereDrafts = new Set<string>();

/** Posts that came in while a reload is under way. */
let meanwhile: Post[] | null = null;

function take(post: Post, live: boolean): void {
  meanwhile?.push(post);
  const before = timeline.value;
  const known = before.posts.get(post.id);
  const own = post.author.id === account.value?.id;
  const appears = post.deletedAt === null && (known === undefined || known.deletedAt !== null);
  batch(() => {
    timeline.value = accept(before, post, live && !own && window.scrollY > TOP_PX);
    if (timeline.value === before) return;
    if (appears && !wereDrafts.has(post.id)) arrived.value = new Set(arrived.value).add(post.id);
    if (known !== undefined && known.deletedAt === null && post.deletedAt !== null) fold(known);
    // Brought back while it was still folding away.
    if (appears) leaving.value = leaving.value.filter((other) => other.id !== post.id);
  });
  if (live && appears && !own && timeline.value !== before) announcement.value = `New post by ${post.author.name}`;
}

function fold(post: Post): void {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  leaving.value = [...leaving.value, post];
  setTimeout(() => {
    leaving.value = leaving.value.filter((other) => other.id !== post.id);
  }, LEAVING_MS);
}

/** An event from the server. `key` is the author's name for a new post. */
export function receive(post: Post, key: string | null = null): void {
  batch(() => {
    if (key !== null && post.author.id === account.value?.id) settleDraft(key, post);
    take(post, true);
  });
}

/** Set when a reload is asked for while one is under way: that one may have read too early. */
let reloadAgain = false;
let reloadRetry: ReturnType<typeof setTimeout> | undefined;

/** Reads the timeline anew, as deep as it was loaded: after a connection that may have missed something. */
export async function reload(): Promise<void> {
  if (meanwhile !== null) {
    reloadAgain = true;
    return;
  }
  clearTimeout(reloadRetry);
  const journal: Post[] = [];
  meanwhile = journal;
  let failed = false;
  try {
    const page = await readFresh(Math.max(PAGE_SIZE, visible(timeline.value).length));
    batch(() => {
      const hold = loadState.value === LoadState.ready && window.scrollY > TOP_PX;
      timeline.value = replace(timeline.value, page, journal, hold);
      loadState.value = LoadState.ready;
    });
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    failed = true;
    if (loadState.value === LoadState.loading) loadState.value = LoadState.failed;
  } finally {
    meanwhile = null;
  }
  if (failed) reloadRetry = setTimeout(() => void reload(), RELOAD_RETRY_MS);
  else if (reloadAgain) void reload();
  reloadAgain = false;
}

async function readFresh(depth: number): Promise<PostPage> {
  const posts: Post[] = [];
  let next: string | null = null;
  for (let page = 0; page < RELOAD_PAGES_MAX; page++) {
    const answer: PostPage = await api.posts(next, Math.min(PAGE_SIZE_MAX, depth - posts.length));
    posts.push(...answer.posts);
    next = answer.next;
    if (next === null || posts.length >= depth) break;
  }
  return { posts, next };
}

export function retryFirstLoad(): void {
  loadState.value = LoadState.loading;
  void reload();
}

export async function loadMore(): Promise<void> {
  const cursor = timeline.value.next;
  if (cursor === null || moreState.value === LoadState.loading || meanwhile !== null) return;
  moreState.value = LoadState.loading;
  try {
    const page = await api.posts(cursor, PAGE_SIZE);
    // A reload that came between has a cursor of its own.
    if (timeline.value.next === cursor) timeline.value = append(timeline.value, page);
    moreState.value = LoadState.ready;
  } catch {
    moreState.value = LoadState.failed;
  }
}

export function showHeld(): void {
  batch(() => {
    arrived.value = new Set([...arrived.value, ...timeline.value.held]);
    timeline.value = release(timeline.value);
  });
}

/* ------------------------------------------------------------------ writing */

/** False when the text cannot be posted as it is. */
export function submit(text: string): boolean {
  const body = tidyBody(text);
  const author = account.value;
  if (author == null || body === "" || lengthOf(body) > POST_LENGTH_MAX) return false;
  const draft: Draft = {
    key: newKey(),
    author,
    body,
    writtenAt: new Date().toISOString(),
    state: DraftState.sending,
    message: "",
  };
  drafts.value = [draft, ...drafts.value];
  void send(draft.key);
  return true;
}

export function retryDraft(key: string): void {
  void send(key);
}

export function discardDraft(key: string): void {
  drafts.value = drafts.value.filter((draft) => draft.key !== key);
}

/** A draft outlives a reload of the page: it is sent again, under the same key, once its author is known to be here. */
function keptDrafts(): Draft[] {
  const kept = recall<Draft[]>("drafts") ?? [];
  return kept.map((draft) => (draft.state === DraftState.sending ? { ...draft, state: DraftState.failed } : draft));
}

/** The line is back, or the author: what failed for want of them is sent again. */
export function retryFailedDrafts(): void {
  for (const draft of ownDrafts.value) if (draft.state === DraftState.failed) void send(draft.key);
}

account.subscribe(() => retryFailedDrafts());

/** crypto.randomUUID exists on https only; this page also works on plain http inside a house. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function send(key: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const draft = ownDrafts.value.find((other) => other.key === key);
    if (draft === undefined) return;
    changeDraft(key, DraftState.sending, "");
    try {
      const { post } = await api.createPost(draft.body, key);
      batch(() => {
        settleDraft(key, post);
        take(post, false);
      });
      return;
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (error.status === 401) expireSession();
      if (!error.passing) {
        // After signing in again it may well succeed, so it stays to be sent again.
        changeDraft(key, error.status === 401 ? DraftState.failed : DraftState.refused, error.message);
        return;
      }
      const delayMs = RETRY_DELAYS_MS[attempt];
      if (delayMs === undefined) {
        changeDraft(key, DraftState.failed, error.message);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }
}

function changeDraft(key: string, state: DraftState, message: string): void {
  drafts.value = drafts.value.map((draft) => (draft.key === key ? { ...draft, state, message } : draft));
}

/** The draft has become `post`, whether its answer or its event said so first. */
function settleDraft(key: string, post: Post): void {
  if (!drafts.value.some((draft) => draft.key === key)) return;
  wereDrafts.add(post.id);
  discardDraft(key);
}

/* ------------------------------------------------------------------ changing */

export async function edit(post: Post, text: string): Promise<void> {
  try {
    take((await api.editPost(post.id, tidyBody(text), post.version)).post, false);
  } catch (error) {
    if (error instanceof RequestError) {
      if (error.status === 401) expireSession();
      if (error.post !== null) take(error.post, false);
    }
    throw error;
  }
}

/** Folds the post away at once; when the server says no, it comes back with a word about why. */
export async function remove(post: Post, byKeyboard: boolean): Promise<void> {
  try {
    take((await api.deletePost(post.id)).post, false);
    undoable.value = { post, byKeyboard };
  } catch (error) {
    complain(error, "The post could not be deleted.");
  }
}

export async function undo(): Promise<void> {
  const undone = undoable.value;
  if (undone === null) return;
  undoable.value = null;
  try {
    take((await api.restorePost(undone.post.id)).post, false);
    announcement.value = "The post is back.";
  } catch (error) {
    complain(error, "The post could not be restored.");
  }
}

function complain(error: unknown, what: string): void {
  if (!(error instanceof RequestError)) throw error;
  if (error.status === 401) expireSession();
  notice.value = `${what} ${error.message}`;
}
