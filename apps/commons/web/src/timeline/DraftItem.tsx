/** A post that the server has not confirmed yet. */
import { Avatar } from "../shell/Avatar.tsx";
import { Body } from "./Body.tsx";
import { type Draft, DraftState, discardDraft, retryDraft } from "./store.ts";

export function DraftItem({ draft }: { draft: Draft }) {
  const sending = draft.state === DraftState.sending;
  return (
    <li class="post post--arriving">
      <article
        class={sending ? "post__inner post__inner--sending" : "post__inner"}
        data-testid="post-draft"
        aria-busy={sending}
      >
        <Avatar account={draft.author} />
        <div class="post__main">
          <header class="post__head">
            <span class="post__author">{draft.author.name}</span>
            <span class="post__meta">{sending ? "Sending…" : "Not sent"}</span>
          </header>
          <Body text={draft.body} />
          {!sending && (
            <div class="post__fault" role="alert">
              <p>{draft.message}</p>
              <div class="post__choices">
                {draft.state === DraftState.failed && (
                  <button
                    type="button"
                    class="button button--small"
                    data-testid="retry"
                    onClick={() => retryDraft(draft.key)}
                  >
                    Send again
                  </button>
                )}
                <button
                  type="button"
                  class="button button--small button--quiet"
                  onClick={() => discardDraft(draft.key)}
                >
                  Discard
                </button>
              </div>
            </div>
          )}
        </div>
      </article>
    </li>
  );
}
