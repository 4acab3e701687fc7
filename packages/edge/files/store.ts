/**
 * The files below one root: found by name, kept from leaving the root by links, described (type, validators, codings) and,
 * when small, held in a bounded memory. What is held is looked at again after `checkMs`, so that changes are seen. Knows
 * nothing of requests.
 */
import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { constants } from "node:fs";
import { type FileHandle, open, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import type { Clock, FieldList } from "@tideway/base";
import { formatHttpDate } from "@tideway/wire/fields";
import types from "mime-types";
import type { Validators } from "./conditions.ts";
import { type Coding, codings } from "./encodings.ts";
import { namesOfPath } from "./names.ts";

/** Files up to this size are held in memory and cost one write. */
export const SMALL_BYTES = 128 * 1024;
const HELD_BYTES_MAX = 32 * 1024 * 1024;
const HELD_ENTRIES_MAX = 4096;
/** A file changed this recently may change again within one tick of its clock: its tag is weak until then. */
const SETTLED_MS = 2_000;

/** One coding of a file, as it would be sent. */
export interface Representation extends Validators {
  readonly coding: Coding;
  readonly size: number;
  readonly type: string;
  /** The bytes of a small file; null for one that is read when it is sent. */
  readonly body: Buffer | null;
  /** Fields of the whole answer, and those of "not modified". Shared: to be copied before they are added to. */
  readonly fields: FieldList;
  readonly notModifiedFields: FieldList;
  /** Where it lies, links resolved, and what it looked like there. */
  readonly path: string;
  readonly stamp: string;
}

export const Found = { file: "file", folder: "folder", nothing: "nothing" } as const;
export type Found = (typeof Found)[keyof typeof Found];

export type Lookup =
  | { readonly found: "file"; readonly representations: readonly Representation[] }
  | { readonly found: "folder" | "nothing" };

const NOTHING: Lookup = Object.freeze({ found: Found.nothing });
const FOLDER: Lookup = Object.freeze({ found: Found.folder });

export interface StoreOptions {
  readonly root: string;
  readonly clock: Clock;
  readonly checkMs: number;
  /** Files below this path never change: their names hold a hash of what they hold. */
  readonly immutable: string | undefined;
}

interface Held {
  readonly lookup: Lookup & { found: "file" };
  readonly bytes: number;
  checkedAt: number;
}

export class FileStore {
  readonly #options: StoreOptions;
  /** By path as requested; in order of use, so that the first is the one unused for longest. */
  readonly #held = new Map<string, Held>();
  readonly #looking = new Map<string, Promise<Lookup>>();
  #heldBytes = 0;

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  /** What is held for a path and need not be looked at again yet. */
  held(path: string): Lookup | undefined {
    const held = this.#held.get(path);
    if (held === undefined || this.#options.clock.now() - held.checkedAt >= this.#options.checkMs) return undefined;
    this.#held.delete(path);
    this.#held.set(path, held);
    return held.lookup;
  }

  /** Looks on the disk. Requests for the same path at the same time look once. */
  find(path: string): Promise<Lookup> {
    let looking = this.#looking.get(path);
    if (looking === undefined) {
      looking = this.#look(path).finally(() => this.#looking.delete(path));
      this.#looking.set(path, looking);
    }
    return looking;
  }

  /** The file has changed since it was looked at. */
  forget(path: string): void {
    const held = this.#held.get(path);
    if (held === undefined) return;
    this.#held.delete(path);
    this.#heldBytes -= held.bytes;
  }

  async #look(path: string): Promise<Lookup> {
    const names = namesOfPath(path);
    if (names === null) return NOTHING;
    const isFolder = names.at(-1) === "";
    if (isFolder) names[names.length - 1] = "index.html";
    const root = await resolvedIn(null, this.#options.root);
    const at = root === null ? null : await resolvedIn(root.path, join(root.path, ...names));
    if (root === null || at === null || !at.stats.isFile()) {
      this.forget(path);
      return at?.stats.isDirectory() && !isFolder ? FOLDER : NOTHING;
    }
    const known = this.#held.get(path)?.lookup.representations ?? [];
    const found = [await this.#represent(path, at, "identity", at.path, known)];
    const siblings = Object.entries(codings) as [keyof typeof codings, string][];
    const others = siblings.map(async ([coding, extension]) => {
      const beside = await resolvedIn(root.path, at.path + extension);
      // One that is older than the original was made of an earlier one.
      const usable = beside?.stats.isFile() === true && beside.stats.mtimeNs >= at.stats.mtimeNs;
      return usable ? this.#represent(path, beside, coding, at.path, known) : null;
    });
    for (const other of await Promise.all(others)) if (other !== null) found.push(other);
    const lookup = { found: Found.file, representations: withVary(found) } as const;
    this.#hold(path, lookup);
    return lookup;
  }

  async #represent(
    path: string,
    at: Place,
    coding: Coding,
    name: string,
    known: readonly Representation[],
  ): Promise<Representation> {
    const stamp = stampOf(at.stats);
    const same = known.find((other) => other.coding === coding && other.path === at.path && other.stamp === stamp);
    // A weak tag grows strong when the file has settled.
    if (same !== undefined && !same.etag.startsWith("W/")) return same;
    const { clock, immutable } = this.#options;
    const body = at.stats.size <= SMALL_BYTES ? await readSmall(at) : null;
    const now = clock.wall();
    const mtimeMs = Number(at.stats.mtimeNs / 1_000_000n);
    const etag = body === null ? tagOf(at.stats, coding, now - mtimeMs < SETTLED_MS) : `"${digest(body)}"`;
    // A date in the future would never be matched (RFC 9110 §8.8.2.1).
    const lastModifiedMs = Math.floor(Math.min(mtimeMs, now) / 1000) * 1000;
    const unchanging = immutable !== undefined && path.startsWith(immutable);
    const type = types.contentType(name.slice(name.lastIndexOf(sep) + 1)) || "application/octet-stream";
    const control = unchanging ? "public, max-age=31536000, immutable" : "no-cache";
    const notModifiedFields = ["etag", etag, "last-modified", formatHttpDate(lastModifiedMs), "cache-control", control];
    const fields = [
      "content-type",
      type,
      "accept-ranges",
      "bytes",
      "x-content-type-options",
      "nosniff",
      ...notModifiedFields,
    ];
    if (coding !== "identity") fields.push("content-encoding", coding);
    const size = body?.length ?? Number(at.stats.size);
    return { coding, size, type, body, etag, lastModifiedMs, fields, notModifiedFields, path: at.path, stamp };
  }

  #hold(path: string, lookup: Lookup & { found: "file" }): void {
    this.forget(path);
    // Every entry weighs something: paths and fields are memory too.
    const bytes = lookup.representations.reduce((sum, one) => sum + 1024 + (one.body?.length ?? 0), path.length);
    this.#held.set(path, { lookup, bytes, checkedAt: this.#options.clock.now() });
    this.#heldBytes += bytes;
    for (const [oldest] of this.#held) {
      if (this.#heldBytes <= HELD_BYTES_MAX && this.#held.size <= HELD_ENTRIES_MAX) break;
      this.forget(oldest);
    }
  }
}

interface Place {
  readonly path: string;
  readonly stats: BigIntStats;
}

/** Errors that say "there is no such file for you"; others (no descriptors left, a failing disk) are ours. */
const ABSENT = new Set(["ENOENT", "ENOTDIR", "EACCES", "EPERM", "ELOOP", "ENAMETOOLONG"]);
export const isAbsent = (error: unknown): boolean => ABSENT.has((error as NodeJS.ErrnoException).code ?? "");

/** Where a path leads, links resolved, if that is within `root` (null: anywhere). */
async function resolvedIn(root: string | null, path: string): Promise<Place | null> {
  try {
    const real = await realpath(path);
    if (root !== null && real !== root && !real.startsWith(root.endsWith(sep) ? root : root + sep)) return null;
    return { path: real, stats: await stat(real, { bigint: true }) };
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

/** Opens what `resolvedIn` found: no link any more, and no pipe that would keep the opening waiting. */
export function openResolved(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
}

/** What changes when a file does: which one it is, its size, its times. */
export function stampOf(stats: BigIntStats): string {
  return `${stats.dev}.${stats.ino}.${stats.size}.${stats.mtimeNs}.${stats.ctimeNs}`;
}

/** The bytes of a small file; null when it grew meanwhile and is read when it is sent. */
async function readSmall(at: Place): Promise<Buffer | null> {
  const handle = await openResolved(at.path);
  try {
    const buffer = Buffer.allocUnsafeSlow(SMALL_BYTES + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
      if (bytesRead === 0) return Buffer.from(buffer.subarray(0, length));
      length += bytesRead;
    }
    return null;
  } finally {
    await handle.close();
  }
}

/** A tag by content: the same on every server, and different also when a deployment gives all files one date. */
function digest(body: Buffer): string {
  return createHash("sha256").update(body).digest("base64url").slice(0, 22);
}

function tagOf(stats: BigIntStats, coding: Coding, weak: boolean): string {
  const tag = `"${stats.size.toString(36)}-${stats.mtimeNs.toString(36)}${coding === "identity" ? "" : `-${coding}`}"`;
  return weak ? `W/${tag}` : tag;
}

/** When there is a choice, every answer says by what it was made, also the uncoded one (RFC 9110 §12.5.5). */
function withVary(found: readonly Representation[]): Representation[] {
  if (found.length === 1) return found.map((one) => withFields(one, []));
  return found.map((one) => withFields(one, ["vary", "accept-encoding"]));
}

function withFields(one: Representation, added: FieldList): Representation {
  const has = one.fields.includes("vary");
  if (has === added.length > 0) return one;
  const without = (fields: FieldList): FieldList => {
    const at = fields.indexOf("vary");
    return at < 0 ? fields : fields.toSpliced(at, 2);
  };
  return {
    ...one,
    fields: [...without(one.fields), ...added],
    notModifiedFields: [...without(one.notModifiedFields), ...added],
  };
}
