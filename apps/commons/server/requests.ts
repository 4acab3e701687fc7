/**
 * What a request says, checked before any route sees it: who sent it (address, scheme, origin), its session cookie and
 * its JSON body. Trusts `X-Forwarded-*` only from this machine, where Tideway's edge stands.
 */
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import type { z } from "zod";
import { ApiError } from "./errors.ts";
import { parseJson } from "./json.ts";
import { SESSION_LIFE_MS } from "./sessions.ts";

export const BODY_BYTES_MAX = 16 * 1024;
const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);
const LOOPBACK = /^(?:127\.|::1$|::ffff:127\.)/;

export interface Env {
  Bindings: HttpBindings;
}

export type RequestContext = Context<Env>;

/** The client's address: what the edge saw, or the socket's own. */
export function addressOf(context: RequestContext): string {
  const peer = peerOf(context);
  return forwarded(context, "x-forwarded-for") ?? peer;
}

function isSecure(context: RequestContext): boolean {
  return forwarded(context, "x-forwarded-proto") === "https";
}

function peerOf(context: RequestContext): string {
  return context.env.incoming.socket.remoteAddress ?? "";
}

/** The last value is the one that the nearest hop wrote; those before it are the client's own words. */
function forwarded(context: RequestContext, name: string): string | undefined {
  if (!LOOPBACK.test(peerOf(context))) return undefined;
  const last = context.req.header(name)?.split(",").at(-1)?.trim();
  return last === "" ? undefined : last;
}

/**
 * Refuses a change that another site's page asks for. Browsers send Origin with every such request; one that sends
 * neither Origin nor Sec-Fetch-Site is no browser and carries nobody's cookies unasked.
 */
export function checkOrigin(context: RequestContext): void {
  if (SAFE_METHODS.has(context.req.method)) return;
  const origin = context.req.header("origin");
  if (origin !== undefined) {
    const own = `${isSecure(context) ? "https" : "http"}://${context.req.header("host") ?? ""}`;
    if (origin.toLowerCase() !== own.toLowerCase()) throw new ApiError("ORIGIN_REFUSED");
    return;
  }
  const site = context.req.header("sec-fetch-site");
  if (site !== undefined && site !== "same-origin" && site !== "none") throw new ApiError("ORIGIN_REFUSED");
}

/** With https the name's prefix makes browsers refuse a cookie of that name from other hosts or without Secure. */
function cookieName(context: RequestContext): string {
  return isSecure(context) ? "__Host-commons" : "commons";
}

export function sessionToken(context: RequestContext): string | undefined {
  return getCookie(context, cookieName(context));
}

/** With null: ends the cookie. */
export function setSessionToken(context: RequestContext, token: string | null): void {
  setCookie(context, cookieName(context), token ?? "", {
    httpOnly: true,
    sameSite: "Lax",
    path: "/",
    secure: isSecure(context),
    maxAge: token === null ? 0 : SESSION_LIFE_MS / 1000,
  });
}

/** The body as `schema` wants it. */
export async function readBody<Schema extends z.ZodType>(
  context: RequestContext,
  schema: Schema,
): Promise<z.output<Schema>> {
  const type = context.req.header("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") throw new ApiError("WANT_JSON");
  const parsed = parseJson(await readText(context));
  if (!parsed.ok) {
    throw new ApiError("BAD_JSON", { detail: `line ${parsed.line}, column ${parsed.column}: ${parsed.what}` });
  }
  const result = schema.safeParse(parsed.value);
  if (result.success) return result.data;
  // A Map, for a path may hold any name that the client chose; the first fault of each place is the one to mend.
  const fields = new Map<string, string>();
  for (const issue of result.error.issues) {
    const place = issue.path.length === 0 ? "(body)" : issue.path.map(String).join(".");
    if (!fields.has(place)) fields.set(place, issue.message);
  }
  const detail = [...fields].map(([place, what]) => `${place}: ${what}`).join("; ");
  throw new ApiError("INVALID", { detail, fields: Object.fromEntries(fields) });
}

async function readText(context: RequestContext): Promise<string> {
  const declared = Number(context.req.header("content-length") ?? 0);
  if (declared > BODY_BYTES_MAX) throw new ApiError("TOO_LARGE");
  const body = await readBytes(context.req.raw.body);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw new ApiError("BAD_JSON", { detail: "not UTF-8" });
  }
}

async function readBytes(stream: ReadableStream<Uint8Array> | null): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of stream ?? []) {
      length += chunk.length;
      if (length > BODY_BYTES_MAX) throw new ApiError("TOO_LARGE");
      chunks.push(chunk);
    }
  } catch (error) {
    // The client went away: its doing, not a fault of ours.
    throw error instanceof ApiError ? error : new ApiError("CUT_OFF");
  }
  return Buffer.concat(chunks);
}
