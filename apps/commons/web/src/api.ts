/** Requests to the server: JSON both ways, every failure one kind of error. Knows no state of the page. */
import type { Account, ErrorBody, Post, PostPage } from "../../contract.ts";

const TIMEOUT_MS = 15_000;

export class RequestError extends Error {
  override name = "RequestError";
  /** 0 when no answer came. */
  readonly status: number;
  readonly code: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly post: Post | null;

  constructor(status: number, body: ErrorBody | null) {
    super(body?.error.message ?? (status === 0 ? "The server cannot be reached." : "The server could not answer."));
    this.status = status;
    this.code = body?.error.code ?? "";
    this.fields = body?.error.fields ?? {};
    this.post = body?.post ?? null;
  }

  /** Whether the same request may succeed later without anybody changing it. */
  get passing(): boolean {
    return this.status === 0 || this.status >= 500 || this.status === 429 || this.status === 408;
  }
}

async function request<Answer>(
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: {
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new RequestError(0, null);
  }
  const answer: unknown = response.status === 204 ? null : await response.json().catch(() => undefined);
  if (response.ok && answer !== undefined) return answer as Answer;
  const error = isErrorBody(answer) ? answer : null;
  // A whole-looking answer that broke off may have been carried out all the same: as unknown as none.
  throw new RequestError(response.ok ? 0 : response.status, error);
}

function isErrorBody(value: unknown): value is ErrorBody {
  return typeof value === "object" && value !== null && typeof (value as ErrorBody).error?.message === "string";
}

export const api = {
  session: () => request<{ account: Account | null }>("GET", "/api/session"),
  signUp: (name: string, password: string) =>
    request<{ account: Account }>("POST", "/api/accounts", { name, password }),
  signIn: (name: string, password: string) => request<{ account: Account }>("POST", "/api/session", { name, password }),
  signOut: () => request<null>("DELETE", "/api/session"),
  posts: (cursor: string | null, limit: number) => {
    const query = new URLSearchParams({ limit: String(limit), ...(cursor === null ? {} : { cursor }) });
    return request<PostPage>("GET", `/api/posts?${query}`);
  },
  /** Safe to repeat with the same key: the server keeps one post per key. */
  createPost: (body: string, key: string) =>
    request<{ post: Post }>("POST", "/api/posts", { body }, { "idempotency-key": key }),
  editPost: (id: string, body: string, version: number) =>
    request<{ post: Post }>("PATCH", `/api/posts/${id}`, { body, version }),
  deletePost: (id: string) => request<{ post: Post }>("DELETE", `/api/posts/${id}`),
  restorePost: (id: string) => request<{ post: Post }>("POST", `/api/posts/${id}/restore`),
};
