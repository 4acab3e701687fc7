/** The field in which a post is written or edited: grows with its text, Ctrl+Enter sends. */
import type { Ref } from "preact";

interface PostTextProps {
  readonly field: Ref<HTMLTextAreaElement>;
  readonly class: string;
  readonly testId: string;
  readonly label: string;
  readonly describedBy: string;
  readonly text: string;
  readonly onText: (text: string) => void;
  readonly onSend: () => void;
  readonly onEscape?: () => void;
  readonly placeholder?: string;
}

export function PostText({
  field,
  testId,
  label,
  describedBy,
  text,
  onText,
  onSend,
  onEscape,
  ...rest
}: PostTextProps) {
  return (
    <textarea
      {...rest}
      ref={field}
      data-testid={testId}
      aria-label={label}
      aria-describedby={describedBy}
      aria-keyshortcuts="Control+Enter"
      rows={2}
      dir="auto"
      value={text}
      onInput={(event) => onText(event.currentTarget.value)}
      onKeyDown={(event) => {
        // Enter that ends a composition (Japanese, Chinese …) is not a command.
        if (event.isComposing) return;
        if (event.key === "Escape") onEscape?.();
        if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        onSend();
      }}
    />
  );
}
