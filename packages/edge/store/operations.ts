/**
 * What passes between the store and its worker: batches of operations, and their results in the same order. Plain data,
 * as structured cloning wants it.
 */
import type { Committed, NewEvent, SessionRecord, StoredEvent, StreamState, StreamStatus } from "@tideway/engine/hub";
import { packAttachments } from "./attachments.ts";

/** An event as its row will be. */
export interface AppendOperation {
  readonly kind: "append";
  readonly namespace: string;
  /** JSON texts. */
  readonly rooms: string;
  readonly except: string;
  readonly json: string;
  /** In a buffer of its own, so that it can be transferred: a clone would take along all that shares its memory. */
  readonly attachments: Uint8Array<ArrayBuffer> | null;
  readonly key: string | null;
}

export function appendOperation(namespace: string, event: NewEvent): AppendOperation {
  const { rooms, except, payload, key } = event;
  return {
    kind: "append",
    namespace,
    rooms: JSON.stringify(rooms),
    except: JSON.stringify(except),
    json: payload.json,
    attachments: packAttachments(payload.attachments),
    key,
  };
}

export type Operation =
  | { readonly kind: "open"; readonly namespace: string }
  | AppendOperation
  | { readonly kind: "save"; readonly record: SessionRecord }
  | { readonly kind: "drop"; readonly pid: string }
  | { readonly kind: "load"; readonly pid: string }
  | { readonly kind: "read"; readonly namespace: string; readonly after: number; readonly limit: number };

/** One per operation, by its kind. */
export type Result =
  | StreamState
  | Committed
  | null
  | SessionRecord
  | { readonly saved: boolean }
  | { readonly events: StoredEvent[]; readonly state: StreamState };

export interface WorkerOptions {
  readonly file: string;
  readonly retentionMs: number;
  readonly retentionBytes: number;
}

export interface Batch {
  readonly operations: readonly Operation[];
  /** Milliseconds since the epoch: the worker reads no clock. */
  readonly at: number;
}

/** What retention does not keep is to be removed: a bounded number of rows, in a transaction of its own. */
export interface Trim {
  readonly trimAt: number;
}

/** Streams that have changed since the worker spoke last. */
interface Changes {
  readonly changed: readonly StreamStatus[];
}

/** What the worker answers to a batch or a trim, or says before it ends. */
export type WorkerMessage =
  | ({ readonly kind: "ready" } & Changes)
  | ({
      readonly kind: "results";
      readonly results: readonly Result[];
      readonly commitMs: number;
      /** A stream is so much over its bytes that it should not wait for the next look. */
      readonly overdue: boolean;
    } & Changes)
  | ({ readonly kind: "trimmed"; readonly rows: number; readonly more: boolean } & Changes)
  | { readonly kind: "fatal"; readonly message: string };
