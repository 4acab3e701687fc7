/** Editing a post where it stands. When somebody (or oneself, elsewhere) was quicker, nothing is overwritten unseen. */
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { lengthOf, POST_LENGTH_MAX, type Post, tidyBody } from "../../../contract.ts";
import { RequestError } from "../api.ts";
import { keep, recall } from "../kept.ts";
import { Counter } from "./Counter.tsx";
import { PostText } from "./PostText.tsx";
import { edit } from "./store.ts";

/** What was being written when the editor had to go: the page was loaded again, or the session ended. */
interface Unsaved {
  readonly text: string;
  /** The version of the post that it was written over. */
  readonly version: number;
}

const unsaved = new Map(Object.entries(recall<Record<string, Unsaved>>("edits") ?? {}));

function setUnsaved(post: Post, edit: Unsaved | null): void {
  if (edit === null) unsaved.delete(post.id);
  else unsaved.set(post.id, edit);
  keep("edits", Object.fromEntries(unsaved));
}

/** Whether an edit of this post was begun and neither saved nor given up. */
export function isUnsaved(post: Post): boolean {
  return unsaved.has(post.id);
}

export function PostEditor({ post, onEnd }: { post: Post; onEnd: () => void }) {
  const { text, write, length, possible, busy, fault, save, end } = useEdit(post, onEnd);
  const field = useRef<HTMLTextAreaElement>(null);
  const id = useId();

  // Before it is drawn: what is typed next belongs here.
  useLayoutEffect(() => {
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
  const [text, setText] = useState(() => unsaved.get(post.id)?.text ?? post.body);
  const [fault, setFault] = useState(() => {
    const over = unsaved.get(post.id)?.version ?? post.version;
    return over === post.version ? "" : changedElsewhere(post);
  });
  const [busy, setBusy] = useState(false);
  const length = lengthOf(tidyBody(text));
  const possible = length > 0 && length <= POST_LENGTH_MAX;

  const write = (next: string) => {
    setText(next);
    setUnsaved(post, { text: next, version: base.version });
  };
  const end = () => {
    setUnsaved(post, null);
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
      setUnsaved(post, { text, version: error.post.version });
      setFault(changedElsewhere(error.post));
    }
  };
  return { text, write, length, possible, busy, fault, save, end };
}

function changedElsewhere(post: Post): string {
  return `It was changed elsewhere meanwhile, to: “${post.body}”. Save again to replace that.`;
}
