/** One post: its text, who wrote it and when; for its author also edit in place and delete. */
import type { Ref } from "preact";
import { useRef, useState } from "preact/hooks";
import type { Post } from "../../../contract.ts";
import { account } from "../account/store.ts";
import { Avatar } from "../shell/Avatar.tsx";
import { DeleteIcon, EditIcon } from "../shell/icons.tsx";
import { Body } from "./Body.tsx";
import { isUnsaved, PostEditor } from "./PostEditor.tsx";
import { RelativeTime } from "./RelativeTime.tsx";
import { remove } from "./store.ts";

interface PostItemProps {
  readonly post: Post;
  /** It came in live: slides in. */
  readonly arriving: boolean;
  /** It was deleted: folds away. */
  readonly folding: boolean;
}

export function PostItem({ post, arriving, folding }: PostItemProps) {
  const [editing, setEditing] = useState(() => isUnsaved(post));
  const editButton = useRef<HTMLButtonElement>(null);
  const own = post.author.id === account.value?.id;
  const title = `post-${post.id}-author`;

  const endEditing = () => {
    setEditing(false);
    // After the buttons are back.
    requestAnimationFrame(() => editButton.current?.focus());
  };

  if (folding) return <FoldingPost post={post} />;
  return (
    <li class={arriving ? "post post--arriving" : "post"}>
      <article class="post__inner" data-testid="post" data-post-id={post.id} aria-labelledby={title}>
        <Avatar account={post.author} />
        <div class="post__main">
          <header class="post__head">
            <span id={title} class="post__author">
              {post.author.name}
            </span>
            <span class="post__meta">
              <RelativeTime at={post.createdAt} />
              {post.editedAt !== null && <span class="post__edited"> · edited</span>}
            </span>
            {own && !editing && <PostActions post={post} editButton={editButton} onEdit={() => setEditing(true)} />}
          </header>
          {own && editing ? (
            <PostEditor post={post} onEnd={endEditing} />
          ) : (
            <Body text={post.body} testId="post-body" />
          )}
        </div>
      </article>
    </li>
  );
}

interface PostActionsProps {
  readonly post: Post;
  /** Where the focus returns to after editing. */
  readonly editButton: Ref<HTMLButtonElement>;
  readonly onEdit: () => void;
}

function PostActions({ post, editButton, onEdit }: PostActionsProps) {
  return (
    <span class="post__actions">
      <button
        ref={editButton}
        type="button"
        class="button button--icon"
        data-testid="edit"
        aria-label="Edit this post"
        title="Edit"
        onClick={onEdit}
      >
        <EditIcon />
      </button>
      <button
        type="button"
        class="button button--icon button--danger"
        data-testid="delete"
        aria-label="Delete this post"
        title="Delete"
        // A click without a count comes from the keyboard.
        onClick={(event) => void remove(post, event.detail === 0)}
      >
        <DeleteIcon />
      </button>
    </span>
  );
}

/** What is seen of a post that was just deleted, for a moment. */
function FoldingPost({ post }: { post: Post }) {
  return (
    <li class="post post--folding" inert>
      <article class="post__inner">
        <Avatar account={post.author} />
        <div class="post__main">
          <header class="post__head">
            <span class="post__author">{post.author.name}</span>
          </header>
          <Body text={post.body} />
        </div>
      </article>
    </li>
  );
}
