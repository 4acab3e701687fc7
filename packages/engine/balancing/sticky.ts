/**
 * Owns what a sticky cookie means: its form, whether it counts, when the answer must bring a new one. Whose signature it
 * bears is found out elsewhere (`edge/upstream`): nothing here can make a cookie that counts.
 *
 * A value is `name.expiry.signature`. The name stands for an instance without telling which; the expiry is in seconds
 * since 1970, in base 36, 0 for none; the signature covers both.
 */

export interface StickyToken {
  /** Stands for an instance. */
  readonly name: string;
  /** Seconds since 1970; 0: as long as the browser keeps it. */
  readonly expiresAt: number;
  /** What the signature covers. */
  readonly signed: string;
  readonly signature: string;
}

const form = /^([\w-]{1,64})\.([0-9a-z]{1,11})\.([\w-]{1,128})$/;

/** Null when it is no such value. */
export function parseStickyToken(value: string): StickyToken | null {
  const match = form.exec(value);
  if (match === null) return null;
  const [, name, expiry, signature] = match;
  return { name: name!, expiresAt: Number.parseInt(expiry!, 36), signed: `${name}.${expiry}`, signature: signature! };
}

/** What has to be signed for a cookie that lasts `ttlMs` from `wallMs` on; 0: as long as the browser keeps it. */
export function stickyPayload(name: string, ttlMs: number, wallMs: number): string {
  return `${name}.${ttlMs === 0 ? "0" : Math.ceil((wallMs + ttlMs) / 1000).toString(36)}`;
}

/** Whether a token with a good signature still counts. */
export function isCurrent(token: StickyToken, wallMs: number): boolean {
  return token.expiresAt === 0 || wallMs < token.expiresAt * 1000;
}

/**
 * Whether the answer of the instance called `name` brings a new cookie: the client has none that counts (`token` null),
 * another instance answered, or more than half of its time has gone.
 */
export function needsToken(token: StickyToken | null, name: string, ttlMs: number, wallMs: number): boolean {
  if (token === null || token.name !== name) return true;
  // One that was made under other rules: it lasts, or ends, where it should not.
  if ((token.expiresAt === 0) !== (ttlMs === 0)) return true;
  return ttlMs !== 0 && token.expiresAt * 1000 - wallMs < ttlMs / 2;
}
