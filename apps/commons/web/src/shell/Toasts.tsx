/** What is said in passing at the lower edge: the way back after a deletion, and failures. */
import { useEffect, useRef, useState } from "preact/hooks";
import { notice, undo, undoable } from "../timeline/store.ts";
import { CloseIcon } from "./icons.tsx";

const UNDO_MS = 6000;
const NOTICE_MS = 8000;

export function Toasts() {
  const undone = undoable.value;
  return (
    <div class="toasts" role="status" aria-live="polite">
      {notice.value !== "" && (
        <Toast key={notice.value} lifeMs={NOTICE_MS} onEnd={() => (notice.value = "")}>
          <p class="toast__text">{notice}</p>
        </Toast>
      )}
      {undone !== null && (
        <Toast key={undone.post.id + undone.post.version} lifeMs={UNDO_MS} onEnd={() => (undoable.value = null)}>
          <p class="toast__text">Post deleted.</p>
          <UndoButton id={undone.post.id} byKeyboard={undone.byKeyboard} />
        </Toast>
      )}
    </div>
  );
}

/** Who deleted with the keyboard finds the way back under the fingers, and after it the post. */
function UndoButton({ id, byKeyboard }: { id: string; byKeyboard: boolean }) {
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (byKeyboard) button.current?.focus();
  }, [byKeyboard]);
  const goBack = async () => {
    await undo();
    if (!byKeyboard) return;
    requestAnimationFrame(() => document.querySelector<HTMLElement>(`[data-post-id="${id}"] button`)?.focus());
  };
  return (
    <button ref={button} type="button" class="button button--toast" data-testid="undo" onClick={() => void goBack()}>
      Undo
    </button>
  );
}

interface ToastProps {
  readonly lifeMs: number;
  readonly onEnd: () => void;
  readonly children: preact.ComponentChildren;
}

/** Goes by itself, but not while somebody points at it or has the focus in it. */
function Toast({ lifeMs, onEnd, children }: ToastProps) {
  const [resting, setResting] = useState(false);
  useEffect(() => {
    if (resting) return;
    const timer = setTimeout(onEnd, lifeMs);
    return () => clearTimeout(timer);
  }, [resting, lifeMs]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: what it listens to only keeps it longer; the buttons act
    <div
      class="toast"
      data-testid="toast"
      onPointerEnter={() => setResting(true)}
      onPointerLeave={() => setResting(false)}
      onFocusIn={() => setResting(true)}
      onFocusOut={() => setResting(false)}
      onKeyDown={(event) => event.key === "Escape" && onEnd()}
    >
      {children}
      <button type="button" class="button button--icon toast__close" aria-label="Dismiss" onClick={onEnd}>
        <CloseIcon />
      </button>
    </div>
  );
}
