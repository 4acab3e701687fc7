/**
 * The HTTP API of Commons: the table of its routes. Answers JSON only; the page itself is served by Tideway. Knows what
 * a route needs and in which order; the rules are with accounts, sessions and posts.
 */
import { Hono } from "hono";
import { z } from "zod";
import {
  lengthOf,
  NAME_LENGTH_MAX,
  NAME_LENGTH_MIN,
  NAME_PATTERN,
  NAME_RULE,
  PAGE_SIZE,
  PAGE_SIZE_MAX,
  PASSWORD_LENGTH_MAX,
  PASSWORD_LENGTH_MIN,
  POST_LENGTH_MAX,
  tidyBody,
} from "../contract.ts";
import type { Accounts } from "./accounts.ts";
import { isDiskFull } from "./database.ts";
import { ApiError } from "./errors.ts";
import type { Posts } from "./posts.ts";
import {
  addressOf,
  checkOrigin,
  type Env,
  type RequestContext,
  readBody,
  sessionToken,
  setSessionToken,
} from "./requests.ts";
import type { Sessions } from "./sessions.ts";

export interface AppParts {
  readonly accounts: Accounts;
  readonly sessions: Sessions;
  readonly posts: Posts;
  /** Throws when the instance cannot serve. */
  readonly checkHealth: () => Promise<void>;
  /** A fault of our own, for the log. */
  readonly onFault: (error: unknown, requestId: string) => void;
}

const name = z
  .string("A name is missing.")
  .min(NAME_LENGTH_MIN, `Use at least ${NAME_LENGTH_MIN} characters.`)
  .max(NAME_LENGTH_MAX, `Use at most ${NAME_LENGTH_MAX} characters.`)
  .regex(NAME_PATTERN, NAME_RULE);

const password = z
  .string("A password is missing.")
  .refine((text) => lengthOf(text) >= PASSWORD_LENGTH_MIN, `Use at least ${PASSWORD_LENGTH_MIN} characters.`)
  .max(PASSWORD_LENGTH_MAX, `Use at most ${PASSWORD_LENGTH_MAX} characters.`)
  .refine((text) => text.isWellFormed(), "This is not well-formed text.");

const text = z
  .string("The text is missing.")
  // Surrogates would survive JSON and come back as replacement characters: refused rather than changed.
  .refine((value) => value.isWellFormed(), "This is not well-formed text.")
  .transform(tidyBody)
  .refine((value) => value !== "", "Write something first.")
  .refine((value) => lengthOf(value) <= POST_LENGTH_MAX, `Use at most ${POST_LENGTH_MAX} characters.`);

const SignUp = z.strictObject({ name, password });
const SignIn = z.strictObject({
  name: z.string("A name is missing.").min(1, "A name is missing.").max(NAME_LENGTH_MAX, "No name is that long."),
  password: z
    .string("A password is missing.")
    .min(1, "A password is missing.")
    .max(PASSWORD_LENGTH_MAX, "No password is that long."),
});
const NewPost = z.strictObject({ body: text });
const Edit = z.strictObject({ body: text, version: z.int("The version is missing.").min(1) });

const PostId = z.string().regex(/^[1-9]\d{0,14}$/);
const PageSize = z.coerce.number().int().min(1).max(PAGE_SIZE_MAX).catch(PAGE_SIZE);
/** Visible ASCII, as draft-ietf-httpapi-idempotency-key asks of a key; our page sends UUIDs. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,128}$/;

export function createApp(parts: AppParts): Hono<Env> {
  const app = new Hono<Env>();
  app.use(async (context, next) => {
    checkOrigin(context);
    await next();
    context.res.headers.set("cache-control", "no-store");
    context.res.headers.set("x-content-type-options", "nosniff");
  });
  app.notFound(() => new ApiError("NOT_FOUND").toResponse());
  app.onError((error, context) => {
    if (error instanceof ApiError) return error.toResponse();
    if (isDiskFull(error)) return new ApiError("STORAGE_FULL").toResponse();
    parts.onFault(error, context.req.header("x-request-id") ?? "");
    return new ApiError("INTERNAL").toResponse();
  });
  app.get("/healthz", async (context) => {
    await parts.checkHealth();
    return context.json({ ok: true });
  });
  addAccountRoutes(app, parts);
  addPostRoutes(app, parts);
  return app;
}

function addAccountRoutes(app: Hono<Env>, { accounts, sessions }: AppParts): void {
  app.post("/api/accounts", async (context) => {
    const credentials = await readBody(context, SignUp);
    const account = await accounts.signUp(credentials, addressOf(context));
    setSessionToken(context, await sessions.begin(account.id, sessionToken(context)));
    return context.json({ account }, 201);
  });
  app.get("/api/session", async (context) => context.json({ account: await sessions.find(sessionToken(context)) }));
  app.post("/api/session", async (context) => {
    const credentials = await readBody(context, SignIn);
    const account = await accounts.signIn(credentials, addressOf(context));
    setSessionToken(context, await sessions.begin(account.id, sessionToken(context)));
    return context.json({ account });
  });
  app.delete("/api/session", async (context) => {
    await sessions.end(sessionToken(context));
    setSessionToken(context, null);
    return context.body(null, 204);
  });
}

function addPostRoutes(app: Hono<Env>, { sessions, posts }: AppParts): void {
  const signedIn = async (context: RequestContext) => {
    const account = await sessions.find(sessionToken(context));
    if (account === null) throw new ApiError("SIGN_IN_FIRST");
    return account;
  };
  const idOf = (context: RequestContext) => {
    const id = PostId.safeParse(context.req.param("id"));
    if (!id.success) throw new ApiError("POST_NOT_FOUND");
    return id.data;
  };
  app.get("/api/posts", async (context) => {
    const limit = PageSize.parse(context.req.query("limit"));
    return context.json(await posts.list(context.req.query("cursor") ?? null, limit));
  });
  app.post("/api/posts", async (context) => {
    const author = await signedIn(context);
    const key = context.req.header("idempotency-key");
    if (key !== undefined && !IDEMPOTENCY_KEY.test(key)) {
      throw new ApiError("INVALID", { fields: { "Idempotency-Key": "Use 1 to 128 visible ASCII characters." } });
    }
    const { body } = await readBody(context, NewPost);
    const { post, replayed } = await posts.create(author, body, key ?? null);
    if (replayed) context.header("idempotent-replayed", "true");
    return context.json({ post }, 201);
  });
  app.patch("/api/posts/:id", async (context) => {
    const editor = await signedIn(context);
    const { body, version } = await readBody(context, Edit);
    return context.json({ post: await posts.edit(editor, idOf(context), body, version) });
  });
  app.delete("/api/posts/:id", async (context) => {
    const editor = await signedIn(context);
    return context.json({ post: await posts.delete(editor, idOf(context)) });
  });
  app.post("/api/posts/:id/restore", async (context) => {
    const editor = await signedIn(context);
    return context.json({ post: await posts.restore(editor, idOf(context)) });
  });
}
