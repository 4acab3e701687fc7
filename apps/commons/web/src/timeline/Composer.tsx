/** Where a post is written. The text survives a reload of the page until it is posted. */
import { useRef, useState } from "preact/hooks";
import { type Account, lengthOf, POST_LENGTH_MAX, tidyBody } from "../../../contract.ts";
import { keep, recall } from "../kept.ts";
import { Avatar } from "../shell/Avatar.tsx";
import { Counter } from "./Counter.tsx";
import { PostText } from "./PostText.tsx";
import { submit } from "./store.ts";

export function Composer({ author }: { author: Account }) {
  const kept = `compose.${author.id}`;
  const [text, setText] = useState(() => recall<string>(kept) ?? "");
  const input = useRef<HTMLTextAreaElement>(null);
  const length = lengthOf(tidyBody(text));
  const possible = length > 0 && length <= POST_LENGTH_MAX;

  /** Ahead of what is drawn: a second Enter before the next drawing must find that the text is gone. */
  const latest = useRef(text);

  const write = (next: string) => {
    latest.current = next;
    setText(next);
    keep(kept, next);
  };
  const post = () => {
    if (!submit(latest.current)) return;
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
        <PostText
          field={input}
          class="composer__text"
          testId="compose"
          label="Your post"
          describedBy="compose-count"
          placeholder="What is new?"
          text={text}
          onText={write}
          onSend={post}
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
