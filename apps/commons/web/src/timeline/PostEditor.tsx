/** Editing a post where it stands. When somebody (or oneself, elsewhere) was quicker, nothing is overwritten unseen. */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { lengthOf, POST_LENGTH_MAX, type Post, tidyBody } from "../../../contract.ts";
import { RequestError } from "../api.ts";
import { Counter } from "./Counter.tsx";
import { PostText } from "./PostText.tsx";
import { edit } from "./store.ts";

/** By post id: what was being written when the editor had to go, for example because the session ended. */
const unsaved = new Map<string, string>();

export function PostEditor({ post, onEnd }: { post: Post; onEnd: () => void }) {
  const { text, write, length, possible, busy, fault, save, end } = useEdit(post, onEnd);
  const field = useRef<HTMLTextAreaElement>(null);
  const id = useId();

  useEffect(() => {
    const area = field.current!;
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
  }, []);

  return (
    <form
      class="editor"
      aria-label="Edit this post"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <PostText
        field={field}
        class="editor__text"
        testId="edit-body"
        label="Text of the post"
        describedBy={id}
        text={text}
        onText={write}
        onSend={() => void save()}
        onEscape={end}
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

/** One edit from its beginning to its end: the text, the version that it answers to, and what the server said. */
function useEdit(post: Post, onEnd: () => void) {
  const [base, setBase] = useState(post);
  const [text, setText] = useState(() => unsaved.get(post.id) ?? post.body);
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  const length = lengthOf(tidyBody(text));
  const possible = length > 0 && length <= POST_LENGTH_MAX;

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
  return { text, write, length, possible, busy, fault, save, end };
}
