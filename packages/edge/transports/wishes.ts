/**
 * What an application in another process wants of the transports: Socket.IO's options that it gave its server, as text over
 * the link. Only what is named here can be wished for, and what is not as it must be is passed over.
 */
import type { Logger } from "@tideway/base";
import type { CookieOptions, CorsOptions, OriginRule, TransportsOptions } from "./options.ts";

export type Wishes = Pick<
  TransportsOptions,
  | "path"
  | "transports"
  | "allowUpgrades"
  | "pingIntervalMs"
  | "pingTimeoutMs"
  | "upgradeTimeoutMs"
  | "messageBytesMax"
  | "cors"
  | "cookie"
>;

/** More than a link carries in one piece would be of no use. */
const messageBytesBound = 16 * 1024 * 1024;

type Check = (value: unknown) => boolean;

const isObject: Check = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isMs: Check = (value) => Number.isSafeInteger(value) && (value as number) > 0 && (value as number) < 2 ** 31;

const checks: Readonly<Record<keyof Wishes, Check>> = {
  path: (value) => typeof value === "string",
  transports: (value) => Array.isArray(value) && value.every((name) => name === "polling" || name === "websocket"),
  allowUpgrades: (value) => typeof value === "boolean",
  pingIntervalMs: isMs,
  pingTimeoutMs: isMs,
  upgradeTimeoutMs: isMs,
  messageBytesMax: isMs,
  cors: (value) => value === false || isObject(value),
  cookie: (value) => typeof value === "boolean" || isObject(value),
};

/** A function among the rules of CORS cannot be sent: it is asked with each request, and there is no wish for CORS. */
export function encodeWishes(options: Partial<TransportsOptions>): string {
  const wishes: Record<string, unknown> = {};
  for (const name of Object.keys(checks) as (keyof Wishes)[]) {
    const value = options[name];
    if (value === undefined || (name === "cors" && isDecided(options.cors))) continue;
    wishes[name] = value;
  }
  return JSON.stringify(wishes, (_key, value: unknown) =>
    value instanceof RegExp ? { pattern: value.source, flags: value.flags } : value,
  );
}

/** Whether CORS is decided by a function. */
export function isDecided(cors: CorsOptions | false | undefined): boolean {
  return cors !== undefined && cors !== false && typeof cors.origin === "function";
}

/** Of one or several, in a list; what a later one says holds. */
export function decodeWishes(text: string): Wishes {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return {};
  }
  const wishes: Record<string, unknown> = {};
  for (const one of [given].flat().filter(isObject)) {
    for (const [name, value] of Object.entries(one as object)) {
      if (Object.hasOwn(checks, name) && checks[name as keyof Wishes](value)) wishes[name] = value;
    }
  }
  const { cors, cookie, messageBytesMax } = wishes as { -readonly [K in keyof Wishes]: Wishes[K] };
  if (messageBytesMax !== undefined) wishes["messageBytesMax"] = Math.min(messageBytesMax, messageBytesBound);
  if (typeof cors === "object") wishes["cors"] = readCors(cors);
  if (typeof cookie === "object") wishes["cookie"] = readCookie(cookie);
  return wishes;
}

/** The options with what is wished for, less what is fixed. */
export function granted(options: TransportsOptions, text: string, logger: Logger, path: string): TransportsOptions {
  const { path: wishedPath, ...wishes } = decodeWishes(text);
  if (wishedPath !== undefined && wishedPath.replace(/\/+$/, "") !== path) {
    logger.warn({ path, wished: wishedPath }, "the application says another path than the configuration, which holds");
  }
  const left = Object.entries(wishes).filter(([name]) => options.fixed?.has(name) !== true);
  return { ...options, ...Object.fromEntries(left) };
}

function readCors({ origin, ...others }: CorsOptions): CorsOptions {
  if (origin === undefined) return others;
  // What is no rule allows nobody.
  return { ...others, origin: readRule(origin) ?? false };
}

function readRule(rule: unknown): OriginRule | null {
  if (typeof rule === "boolean" || typeof rule === "string") return rule;
  if (Array.isArray(rule)) {
    const rules = rule.map(readRule);
    return rules.every((one) => typeof one === "string" || one instanceof RegExp) ? rules : null;
  }
  const { pattern, flags } = (rule ?? {}) as { pattern?: unknown; flags?: unknown };
  if (typeof pattern !== "string" || typeof flags !== "string") return null;
  try {
    return new RegExp(pattern, flags);
  } catch {
    return null;
  }
}

function readCookie({ expires, ...others }: CookieOptions): CookieOptions {
  return expires === undefined ? others : { ...others, expires: new Date(expires) };
}
