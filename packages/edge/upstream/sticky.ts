/**
 * Owns the signing and reading of sticky cookies: HMAC-SHA256 (RFC 2104) with the service's key. The cookie names an instance
 * by a keyed hash, so that a client can neither tell which one it is nor ask for another. What does not bear our signature
 * is as good as no cookie. What a good one means is decided in `engine/balancing`.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { assert, type RequestHead } from "@tideway/base";
import {
  cookieOf,
  isCurrent,
  needsToken,
  parseStickyToken,
  type StickyToken,
  stickyPayload,
} from "@tideway/engine/balancing";

export interface StickyOptions {
  /** The cookie's name. */
  readonly cookie: string;
  /** Secret, at least 16 bytes. Cookies signed with another one are ignored: a new key moves every client once. */
  readonly key: string | Uint8Array;
  /** How long a cookie lasts; renewed when half of it is over. 0, the default: until the browser closes. */
  readonly ttlMs?: number;
  /** Sent over TLS only. Unless given, where the request came over TLS. */
  readonly secure?: boolean;
}

const keyBytesMin = 16;
/** Good cookies whose signature need not be computed again. */
const knownMax = 4_096;
/** Characters of the hash that names an instance: 72 bits. */
const nameLength = 12;

export class Sticky {
  readonly #options: StickyOptions;
  readonly #service: string;
  readonly #ttlMs: number;
  /** By instance id. */
  readonly #names = new Map<string, string>();
  /** By the cookie's value: only what bore a good signature, so that nobody can fill it with what he makes up. */
  readonly #known = new Map<string, StickyToken>();

  /** A cookie for one service means nothing to another with the same key. */
  constructor(options: StickyOptions, service: string) {
    assert(Buffer.from(options.key as string).length >= keyBytesMin, "the key of sticky cookies has 16 bytes or more");
    this.#options = options;
    this.#service = service;
    this.#ttlMs = options.ttlMs ?? 0;
  }

  /** What stands for the instance in cookies. */
  nameOf(id: string): string {
    let name = this.#names.get(id);
    if (name === undefined) {
      name = this.#mac("instance", id).slice(0, nameLength);
      this.#names.set(id, name);
    }
    return name;
  }

  /** The instance is gone. */
  forget(id: string): void {
    this.#names.delete(id);
  }

  /** The name in the request's cookie; empty when it has none that counts. */
  wanted(head: RequestHead, wallMs: number): string {
    return this.#read(head, wallMs)?.name ?? "";
  }

  /** The `set-cookie` of an answer by the instance; empty when the client's own is good still. */
  setCookie(head: RequestHead, secure: boolean, id: string, wallMs: number): string {
    const name = this.nameOf(id);
    const ttlMs = this.#ttlMs;
    if (!needsToken(this.#read(head, wallMs), name, ttlMs, wallMs)) return "";
    const payload = stickyPayload(name, ttlMs, wallMs);
    const age = ttlMs === 0 ? "" : `; Max-Age=${Math.ceil(ttlMs / 1000)}`;
    const tls = (this.#options.secure ?? secure) ? "; Secure" : "";
    const value = `${payload}.${this.#mac("cookie", payload)}`;
    return `${this.#options.cookie}=${value}; Path=/${age}; HttpOnly; SameSite=Lax${tls}`;
  }

  #read(head: RequestHead, wallMs: number): StickyToken | null {
    const value = cookieOf(head.fields, this.#options.cookie);
    if (value === "") return null;
    const token = this.#known.get(value) ?? this.#verify(value);
    return token !== null && isCurrent(token, wallMs) ? token : null;
  }

  #verify(value: string): StickyToken | null {
    const token = parseStickyToken(value);
    if (token === null) return null;
    const good = Buffer.from(this.#mac("cookie", token.signed));
    const seen = Buffer.from(token.signature);
    if (good.length !== seen.length || !timingSafeEqual(good, seen)) return null;
    if (this.#known.size >= knownMax) this.#known.clear();
    this.#known.set(value, token);
    return token;
  }

  /** A service's name and an id hold no line ends: the parts cannot be shifted. */
  #mac(use: "instance" | "cookie", text: string): string {
    return createHmac("sha256", this.#options.key).update(`${use}\n${this.#service}\n${text}`).digest("base64url");
  }
}
