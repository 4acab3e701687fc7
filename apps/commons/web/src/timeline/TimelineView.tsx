/** The list of posts: what is on its way, what is there, what waits above, and more below as one scrolls. */
import { useEffect, useRef } from "preact/hooks";
import { UpIcon } from "../shell/icons.tsx";
import { DraftItem } from "./DraftItem.tsx";
import { PostItem } from "./PostItem.tsx";
import {
  arrived,
  hasMore,
  heldCount,
  LoadState,
  leaving,
  loadMore,
  loadState,
  moreState,
  ownDrafts,
  retryFirstLoad,
  showHeld,
  shownPosts,
} from "./store.ts";

export function TimelineView() {
  const state = loadState.value;
  const posts = shownPosts.value;
  const drafts = ownDrafts.value;
  const folding = new Set(leaving.value.map((post) => post.id));
  return (
    <section id="timeline" class="timeline" aria-label="Timeline" tabIndex={-1} aria-busy={state === LoadState.loading}>
      <h2 class="visually-hidden">Timeline</h2>
      <HeldButton />
      {state === LoadState.loading && <Skeleton />}
      {state === LoadState.failed && (
        <div class="empty">
          <p class="empty__title">The timeline could not be loaded.</p>
          <button type="button" class="button" onClick={retryFirstLoad}>
            Try again
          </button>
        </div>
      )}
      {state === LoadState.ready && posts.length === 0 && drafts.length === 0 && (
        <div class="empty">
          <p class="empty__title">It is quiet here.</p>
          <p>The first post will appear here, for everybody at once.</p>
        </div>
      )}
      <ul class="posts">
        {drafts.map((draft) => (
          <DraftItem key={draft.key} draft={draft} />
        ))}
        {posts.map((post) => (
          <PostItem key={post.id} post={post} arriving={arrived.value.has(post.id)} folding={folding.has(post.id)} />
        ))}
      </ul>
      {state === LoadState.ready && hasMore.value && <More />}
    </section>
  );
}

function HeldButton() {
  const count = heldCount.value;
  useEffect(() => {
    const onScroll = () => {
      if (window.scrollY === 0) showHeld();
    };
    window.addEventListener("scroll", onScroll, { passive: true });
    return () => window.removeEventListener("scroll", onScroll);
  }, []);
  return (
    <div class="held" role="status">
      {count > 0 && (
        <button
          type="button"
          class="held__button"
          data-testid="show-new"
          onClick={() => {
            showHeld();
            window.scrollTo({ top: 0 });
          }}
        >
          <UpIcon />
          {count === 1 ? "1 new post" : `${count} new posts`}
        </button>
      )}
    </div>
  );
}

/** Comes near the window's edge: the next page is fetched. The button is for when that failed. */
function More() {
  const mark = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting) && moreState.value === LoadState.ready) void loadMore();
      },
      { rootMargin: "800px 0px" },
    );
    observer.observe(mark.current!);
    return () => observer.disconnect();
    // Observed anew after each page: the mark may still be in sight.
  }, [shownPosts.value.length]);
  return (
    <div ref={mark} class="more">
      {moreState.value === LoadState.failed ? (
        <button type="button" class="button" onClick={() => void loadMore()}>
          Older posts could not be loaded. Try again
        </button>
      ) : (
        <span class="more__text">Loading older posts…</span>
      )}
    </div>
  );
}

function Skeleton() {
  return (
    <div class="skeleton" aria-hidden="true">
      {[72, 45, 88, 60].map((width) => (
        <div class="skeleton__post" key={width}>
          <span class="skeleton__avatar" />
          <span class="skeleton__lines">
            <span class="skeleton__line skeleton__line--name" />
            <span class="skeleton__line" style={{ width: `${width}%` }} />
          </span>
        </div>
      ))}
    </div>
  );
}
