/** A store as the tests want it: every call a promise, a clock whose date they set, a folder that goes away. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type Clock, silentLogger, type Timer } from "@tideway/base";
import type { Committed, NewEvent, SessionRecord, StoredEvent, StreamState, StreamStore } from "@tideway/engine/hub";
import { openStreamStore, type SqliteStreamStore } from "./index.ts";

/** Ticks end as the event loop's do; the date is the test's to set. */
export class TestClock implements Clock {
  date = Date.UTC(2026, 0, 1);
  now = () => this.date;
  wall = () => this.date;
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();
  after = (delayMs: number, run: () => void): Timer => {
    const timer = { at: this.date + delayMs, run };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  };
  advance(byMs: number): void {
    this.date += byMs;
    for (const timer of [...this.#timers]) if (timer.at <= this.date && this.#timers.delete(timer)) timer.run();
  }
  defer = (run: () => void) => void setImmediate(run);
}

const closers = new WeakMap<TestContext, (() => unknown)[]>();

/** A folder for this test. What the test opened in it is closed before it is removed. */
export function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "tideway-store-"));
  t.after(async () => {
    for (const close of closers.get(t)?.splice(0) ?? []) await close();
    rmSync(folder, { recursive: true });
  });
  return folder;
}

export function closeAfter(t: TestContext, close: () => unknown): void {
  const known = closers.get(t);
  if (known === undefined) closers.set(t, [close]);
  else known.push(close);
}

export function event(json: string, key: string | null = null, attachments: Uint8Array[] = []): NewEvent {
  return { rooms: ["lobby"], except: ["s1"], payload: { json, attachments }, key };
}

export function seqOf(result: Committed): number {
  return result.ok ? result.seq : assert.fail(result.fault);
}

/** The calls of a store as promises. */
export class Asking {
  readonly #store: StreamStore;

  constructor(store: StreamStore) {
    this.#store = store;
  }

  append(namespace: string, given: NewEvent): Promise<Committed> {
    return new Promise((done) => this.#store.append(namespace, given, done));
  }

  read(namespace: string, after: number, limit = 1000): Promise<{ events: StoredEvent[]; state: StreamState }> {
    return new Promise((done) => {
      this.#store.read(namespace, after, limit, (events, state) => done({ events, state }));
    });
  }

  state(namespace: string): Promise<StreamState> {
    return new Promise((done) => this.#store.open(namespace, done));
  }

  save(record: SessionRecord): Promise<boolean> {
    return new Promise((done) => this.#store.saveSession(record, done));
  }

  load(pid: string): Promise<SessionRecord | null> {
    return new Promise((done) => this.#store.loadSession(pid, done));
  }

  drop(pid: string): void {
    this.#store.dropSession(pid);
  }
}

export interface Retention {
  readonly retentionMs?: number;
  readonly retentionBytes?: number;
}

export async function openDisk(
  t: TestContext,
  directory: string,
  retention: Retention = {},
): Promise<{ store: SqliteStreamStore; clock: TestClock; ask: Asking }> {
  const clock = new TestClock();
  const onFatal = (error: Error) => assert.fail(error.message);
  const store = await openStreamStore({ directory, clock, logger: silentLogger, onFatal, ...retention });
  closeAfter(t, () => store.close());
  return { store, clock, ask: new Asking(store) };
}
