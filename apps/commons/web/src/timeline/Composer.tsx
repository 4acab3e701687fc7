/** Where a post is written. The text survives a reload of the page until it is posted. */
import { useRef, useState } from "preact/hooks";
import { type Account, lengthOf, POST_LENGTH_MAX, tidyBody } from "../../../contract.ts";
import { Avatar } from "../shell/Avatar.tsx";
import { Counter } from "./Counter.tsx";
import { submit } from "./store.ts";

export function Composer({ author }: { author: Account }) {
  const kept = `commons.compose.${author.id}`;
  const [text, setText] = useState(() => sessionStorage.getItem(kept) ?? "");
  const input = useRef<HTMLTextAreaElement>(null);
  const length = lengthOf(tidyBody(text));
  const possible = length > 0 && length <= POST_LENGTH_MAX;

  const write = (next: string) => {
    setText(next);
    sessionStorage.setItem(kept, next);
  };
  const post = () => {
    if (!submit(text)) return;
    write("");
    input.current?.focus();
  };

  return (
    <form
      class="composer"
      aria-label="Write a post"
      onSubmit={(event) => {
        event.preventDefault();
        post();
      }}
    >
      <Avatar account={author} />
      <div class="composer__main">
        <label class="visually-hidden" for="compose">
          Your post
        </label>
        <textarea
          ref={input}
          id="compose"
          class="composer__text"
          data-testid="compose"
          placeholder="What is new?"
          rows={2}
          dir="auto"
          value={text}
          aria-describedby="compose-count"
          aria-keyshortcuts="Control+Enter"
          onInput={(event) => write(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
            event.preventDefault();
            post();
          }}
        />
        <div class="composer__bar">
          <span class="composer__hint">
            <kbd>Ctrl</kbd> <kbd>Enter</kbd> posts
          </span>
          <Counter id="compose-count" length={length} />
          <button type="submit" class="button button--primary" data-testid="post-button" disabled={!possible}>
            Post
          </button>
        </div>
      </div>
    </form>
  );
}
