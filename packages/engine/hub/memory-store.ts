/**
 * The stream log in memory: the same rules as the one on disk, for as long as the process lives. Every call is answered
 * before it returns. Events are dropped by age and by bytes, sessions by age and number.
 */
import type { Clock, Random } from "@tideway/base";
import { limits } from "@tideway/base";
import type {
  Committed,
  NewEvent,
  SessionRecord,
  StoredEvent,
  StreamState,
  StreamStatus,
  StreamStore,
} from "./contract.ts";
import { payloadWeight } from "./outgoing.ts";
import { Queue } from "./queue.ts";
import { resolveRecord } from "./session.ts";

export interface MemoryStoreOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** How long events, keys and sessions are kept. 24 h unless given. */
  readonly retentionMs?: number;
  /** Bytes of events in all streams together; the oldest of the fullest go first. 64 MiB unless given. */
  readonly retentionBytes?: number;
  /** 100,000 unless given. */
  readonly sessionsMax?: number;
  /** Idempotency keys of all streams together. 100,000 unless given. */
  readonly keysMax?: number;
}

interface Kept {
  readonly event: StoredEvent;
  readonly weight: number;
}

interface Key {
  readonly seq: number;
  readonly at: number;
}

class Stream {
  readonly epoch: string;
  last = 0;
  bytes = 0;
  readonly events = new Queue<Kept>();
  /** The oldest first. */
  readonly keys = new Map<string, Key>();

  constructor(epoch: string) {
    this.epoch = epoch;
  }

  get state(): StreamState {
    return { epoch: this.epoch, last: this.last, oldest: this.events.first?.event.seq ?? this.last + 1 };
  }
}

export class MemoryStore implements StreamStore {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #retentionMs: number;
  readonly #retentionBytes: number;
  readonly #sessionsMax: number;
  readonly #keysMax: number;
  readonly #streams = new Map<string, Stream>();
  /** The one written longest ago first. */
  readonly #sessions = new Map<string, { readonly record: SessionRecord; readonly at: number }>();
  #bytes = 0;
  #keys = 0;

  constructor(options: MemoryStoreOptions) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#retentionMs = options.retentionMs ?? limits.retentionMs;
    this.#retentionBytes = options.retentionBytes ?? limits.retentionMemoryBytes;
    this.#sessionsMax = options.sessionsMax ?? 100_000;
    this.#keysMax = options.keysMax ?? 100_000;
  }

  open(namespace: string, done: (state: StreamState) => void): void {
    done(this.#stream(namespace).state);
  }

  append(namespace: string, event: NewEvent, done: (result: Committed) => void): void {
    const stream = this.#stream(namespace);
    const { rooms, except, payload, key } = event;
    const now = this.#clock.now();
    this.#forgetOld(stream, now);
    const known = key === null ? undefined : stream.keys.get(key);
    const at = this.#clock.wall();
    if (known !== undefined) {
      done({ ok: true, seq: known.seq, at, duplicate: true });
      return;
    }
    const seq = ++stream.last;
    const weight = payloadWeight(payload);
    stream.events.push({ event: { rooms, except, payload, seq, at }, weight });
    stream.bytes += weight;
    this.#bytes += weight;
    if (key !== null) {
      stream.keys.set(key, { seq, at: now });
      this.#keys++;
    }
    this.#makeRoom();
    done({ ok: true, seq, at, duplicate: false });
  }

  saveSession(record: SessionRecord, done: (saved: boolean) => void): void {
    const earlier = this.#sessions.get(record.pid)?.record ?? null;
    const resolved = resolveRecord(record, earlier, this.#stream(record.namespace).last);
    const now = this.#clock.now();
    this.#sessions.delete(record.pid);
    this.#sessions.set(record.pid, { record: resolved, at: now });
    for (const [pid, { at }] of this.#sessions) {
      if (this.#sessions.size <= this.#sessionsMax && now - at <= this.#retentionMs) break;
      this.#sessions.delete(pid);
    }
    done(true);
  }

  dropSession(pid: string): void {
    this.#sessions.delete(pid);
  }

  loadSession(pid: string, done: (record: SessionRecord | null) => void): void {
    const kept = this.#sessions.get(pid);
    const fresh = kept !== undefined && this.#clock.now() - kept.at <= this.#retentionMs;
    done(fresh ? kept.record : null);
  }

  read(
    namespace: string,
    after: number,
    limit: number,
    done: (events: StoredEvent[], state: StreamState) => void,
  ): void {
    const stream = this.#stream(namespace);
    this.#forgetOld(stream, this.#clock.now());
    const { state } = stream;
    const events: StoredEvent[] = [];
    const from = Math.max(0, after + 1 - state.oldest);
    for (let at = from; at < stream.events.length && events.length < limit; at++) {
      events.push(stream.events.at(at)!.event);
    }
    done(events, state);
  }

  streams(): StreamStatus[] {
    const now = this.#clock.now();
    return [...this.#streams].map(([namespace, stream]) => {
      this.#forgetOld(stream, now);
      return { ...stream.state, namespace, bytes: stream.bytes, oldestAt: stream.events.first?.event.at ?? null };
    });
  }

  #stream(namespace: string): Stream {
    const known = this.#streams.get(namespace);
    if (known !== undefined) return known;
    const made = new Stream(this.#random.id(9));
    this.#streams.set(namespace, made);
    return made;
  }

  #forgetOld(stream: Stream, now: number): void {
    const due = this.#clock.wall() - this.#retentionMs;
    for (let kept = stream.events.first; kept !== null && kept.event.at < due; kept = stream.events.first) {
      this.#drop(stream);
    }
    for (const [key, { at }] of stream.keys) {
      if (now - at <= this.#retentionMs) break;
      stream.keys.delete(key);
      this.#keys--;
    }
  }

  /** Over the bounds the fullest stream gives its oldest. */
  #makeRoom(): void {
    while (this.#bytes > this.#retentionBytes) {
      let fullest: Stream | null = null;
      for (const stream of this.#streams.values()) {
        if (fullest === null || stream.bytes > fullest.bytes) fullest = stream;
      }
      if (fullest === null || fullest.events.length === 0) return;
      this.#drop(fullest);
    }
    if (this.#keys <= this.#keysMax) return;
    let most: Stream | null = null;
    for (const stream of this.#streams.values()) if (stream.keys.size > (most?.keys.size ?? 0)) most = stream;
    const oldest = most?.keys.keys().next().value;
    if (oldest === undefined) return;
    most?.keys.delete(oldest);
    this.#keys--;
  }

  #drop(stream: Stream): void {
    const weight = stream.events.shift()?.weight ?? 0;
    stream.bytes -= weight;
    this.#bytes -= weight;
  }
}
