/**
 * What the server and the page of Commons agree on: the shapes on the wire, the names of events and the limits that
 * both check. Plain types and constants; imports nothing, runs anywhere.
 */

export interface Account {
  readonly id: string;
  readonly name: string;
}

export interface Post {
  readonly id: string;
  readonly author: Account;
  /** Empty once deleted, to everybody but the author. */
  readonly body: string;
  /** Grows by one with each change; of two copies the one with the higher version is right. */
  readonly version: number;
  /** ISO 8601, as all times here. */
  readonly createdAt: string;
  readonly editedAt: string | null;
  readonly deletedAt: string | null;
}

export interface PostPage {
  /** Newest first. */
  readonly posts: Post[];
  /** For `?cursor=`; null at the end. */
  readonly next: string | null;
}

export interface ErrorBody {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint: string;
    /** Where a body was refused: path of the value → what is wrong with it. */
    readonly fields?: Readonly<Record<string, string>>;
  };
  /** With POST_CHANGED: the post as it is now. */
  readonly post?: Post;
}

/** The room that every open page is in. */
export const TIMELINE = "timeline";

/** Real-time events; the first argument is the whole post. */
export const PostEvent = {
  /** The second argument is `{ key }`, the author's own Idempotency-Key or null: how a page knows its own post again. */
  created: "post:created",
  changed: "post:changed",
  deleted: "post:deleted",
  restored: "post:restored",
} as const;
export type PostEvent = (typeof PostEvent)[keyof typeof PostEvent];

/** What a name is made of. Plain letters only: no two names look alike. */
export const NAME_PATTERN = /^[A-Za-z0-9_-]+$/;
export const NAME_RULE = "Use letters, digits, - and _.";
export const NAME_LENGTH_MIN = 2;
export const NAME_LENGTH_MAX = 24;
export const PASSWORD_LENGTH_MIN = 8;
export const PASSWORD_LENGTH_MAX = 200;
export const POST_LENGTH_MAX = 500;
export const PAGE_SIZE = 30;
export const PAGE_SIZE_MAX = 100;

/** Code points, which is nearer to what a person counts than UTF-16 units. */
export function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length++;
  return length;
}

/** Unicode calls these ignorable or format: a text of nothing else shows nothing. */
const UNSEEN = /^[\s\p{Cf}\p{Default_Ignorable_Code_Point}]*$/u;

/**
 * The text of a post as it is kept: line ends unified, control characters and outer blank space gone, at most two blank
 * lines in a row; empty when nothing of it can be seen.
 */
export function tidyBody(text: string): string {
  const tidy = text
    .replace(/\r\n?/g, "\n")
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, "")
    .replace(/\n(?:[^\S\n]*\n){3,}/g, "\n\n\n")
    .trim();
  return UNSEEN.test(tidy) ? "" : tidy;
}
