/**
 * The errors that the API answers with: a code keeps its meaning once published. The shape is the gateway's own,
 * `{ "error": { code, message, hint } }`, so that a page handles both alike.
 */
import type { ErrorBody, Post } from "../contract.ts";

interface ErrorEntry {
  readonly status: 400 | 401 | 403 | 404 | 409 | 410 | 413 | 415 | 422 | 429 | 500 | 503 | 507;
  readonly message: string;
  readonly hint: string;
}

export const apiErrors = {
  BAD_JSON: {
    status: 400,
    message: "The body is not the JSON that is expected here.",
    hint: "Mend the JSON at the place named.",
  },
  INVALID: {
    status: 400,
    message: "Something in the request is not as it should be.",
    hint: "Mend the fields that are named.",
  },
  CUT_OFF: { status: 400, message: "The body broke off.", hint: "Send it again." },
  BAD_CURSOR: {
    status: 400,
    message: "This cursor is not one of ours.",
    hint: "Use `next` of the page before, or none.",
  },
  SIGN_IN_FIRST: { status: 401, message: "You are not signed in.", hint: "Sign in, then try again." },
  WRONG_CREDENTIALS: { status: 401, message: "The name or the password is wrong.", hint: "Check both and try again." },
  NOT_YOURS: { status: 403, message: "This post is somebody else's.", hint: "You can change your own posts only." },
  ORIGIN_REFUSED: { status: 403, message: "This request comes from another site.", hint: "Use the page of this site." },
  NOT_FOUND: { status: 404, message: "There is nothing at this address.", hint: "Check the path and the method." },
  POST_NOT_FOUND: { status: 404, message: "There is no such post.", hint: "It may have been deleted." },
  NAME_TAKEN: { status: 409, message: "This name is taken.", hint: "Choose another one." },
  POST_CHANGED: {
    status: 409,
    message: "The post was changed meanwhile.",
    hint: "Look at its newest version and edit that.",
  },
  POST_GONE: { status: 410, message: "The post was deleted too long ago to restore it.", hint: "Write it again." },
  TOO_LARGE: { status: 413, message: "The body is too large.", hint: "Send at most 16 KiB." },
  WANT_JSON: { status: 415, message: "The body must be JSON.", hint: "Send Content-Type: application/json." },
  KEY_REUSED: {
    status: 422,
    message: "This Idempotency-Key was used for another post.",
    hint: "Use a new key for each post.",
  },
  SLOW_DOWN: { status: 429, message: "That were too many attempts.", hint: "Wait a while, then try again." },
  INTERNAL: { status: 500, message: "The server met a fault of its own.", hint: "Try again; quote the request id." },
  BUSY: { status: 503, message: "The server has too much to do just now.", hint: "Try again in a moment." },
  STORAGE_FULL: {
    status: 507,
    message: "There is no room left to keep this.",
    hint: "Try again later; nothing was saved.",
  },
} as const satisfies Record<string, ErrorEntry>;
export type ApiErrorCode = keyof typeof apiErrors;

export interface ApiErrorDetails {
  /** Added to the message: the place, or what was seen. */
  readonly detail?: string;
  readonly fields?: Record<string, string>;
  readonly retryAfterSeconds?: number;
  readonly post?: Post;
}

export class ApiError extends Error {
  override name = "ApiError";
  readonly code: ApiErrorCode;
  readonly details: ApiErrorDetails;

  constructor(code: ApiErrorCode, details: ApiErrorDetails = {}) {
    super(apiErrors[code].message);
    this.code = code;
    this.details = details;
  }

  toResponse(): Response {
    const { status, message, hint } = apiErrors[this.code];
    const { detail, fields, retryAfterSeconds, post } = this.details;
    const body: ErrorBody = {
      error: {
        code: this.code,
        message: detail === undefined ? message : `${message} (${detail})`,
        hint,
        ...(fields === undefined ? {} : { fields }),
      },
      ...(post === undefined ? {} : { post }),
    };
    const headers: Record<string, string> = { "cache-control": "no-store" };
    if (retryAfterSeconds !== undefined) headers["retry-after"] = String(retryAfterSeconds);
    return Response.json(body, { status, headers });
  }
}
