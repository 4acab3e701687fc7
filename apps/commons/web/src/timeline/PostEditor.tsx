/** Editing a post where it stands. When somebody (or oneself, elsewhere) was quicker, nothing is overwritten unseen. */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { lengthOf, POST_LENGTH_MAX, type Post, tidyBody } from "../../../contract.ts";
import { RequestError } from "../api.ts";
import { Counter } from "./Counter.tsx";
import { edit } from "./store.ts";

/** By post id: what was being written when the editor had to go, for example because the session ended. */
const unsaved = new Map<string, string>();

export function PostEditor({ post, onEnd }: { post: Post; onEnd: () => void }) {
  /** The version that this text answers to. */
  const [base, setBase] = useState(post);
  const [text, setText] = useState(() => unsaved.get(post.id) ?? post.body);
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLTextAreaElement>(null);
  const id = useId();
  const length = lengthOf(tidyBody(text));
  const possible = length > 0 && length <= POST_LENGTH_MAX;

  useEffect(() => {
    const area = input.current!;
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
  }, []);

  const write = (next: string) => {
    setText(next);
    unsaved.set(post.id, next);
  };
  const end = () => {
    unsaved.delete(post.id);
    onEnd();
  };
  const save = async () => {
    if (!possible || busy) return;
    if (tidyBody(text) === base.body) return end();
    setBusy(true);
    try {
      await edit(base, text);
      end();
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      setBusy(false);
      setFault(error.message);
      if (error.post === null) return;
      setBase(error.post);
      setFault(`It was changed elsewhere meanwhile, to: “${error.post.body}”. Save again to replace that.`);
    }
  };

  return (
    <form
      class="editor"
      aria-label="Edit this post"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <textarea
        ref={input}
        class="editor__text"
        data-testid="edit-body"
        aria-label="Text of the post"
        aria-describedby={id}
        rows={2}
        dir="auto"
        value={text}
        onInput={(event) => write(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.isComposing) return;
          if (event.key === "Escape") end();
          if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
          event.preventDefault();
          void save();
        }}
      />
      <p class="post__fault" role="alert">
        {fault}
      </p>
      <div class="editor__bar">
        <Counter id={id} length={length} />
        <button type="button" class="button button--quiet button--small" data-testid="cancel" onClick={end}>
          Cancel
        </button>
        <button type="submit" class="button button--primary button--small" data-testid="save" disabled={!possible}>
          {busy ? "Saving…" : "Save"}
        </button>
      </div>
    </form>
  );
}
