/**
 * Lines to a file or a descriptor: gathered, then appended many at a time and in order, without holding up the event loop. Owns
 * the bound: what a full disk or a reader who has stopped does not take waits, and beyond `waitingBytesMax` lines are
 * dropped and counted. A file that was moved away (logrotate) is opened anew within a second.
 */
import { close, fstatSync, open, openSync, type Stats, stat, write, writeSync } from "node:fs";
import { type Clock, OperatorError, type Timer } from "@tideway/base";
import type { LineWriterOptions } from "./contract.ts";

/** What gathers is written without waiting for the time. */
const gatherBytes = 32 * 1024;
/** The longest that a line waits for others. */
const flushMs = 200;
/** How often it is looked whether the file was moved away. */
const lookMs = 1_000;
/** Until the next try: after a failure, and for a descriptor that takes nothing now. */
const retryMs = 1_000;
const againMs = 20;
/** What a reader who takes nothing is waited for at the end. */
const closeMs = 1_000;
/** What is given to one write. */
const writeBytesMax = 1024 * 1024;
const waitingBytesDefault = 16 * 1024 * 1024;
/** Readable by the group: logs are read by those who watch, and hold addresses. */
const fileMode = 0o640;

export interface LineCounters {
  readonly lines: number;
  readonly dropped: number;
}

export class LineWriter {
  readonly #options: LineWriterOptions;
  readonly #clock: Clock;
  /** Null for a descriptor, which is not ours to open or close. */
  readonly #path: string | null;
  readonly #waitingBytesMax: number;
  #descriptor: number;
  #file: Stats | null = null;
  #lookedAt: number;
  /** Lines that nobody has begun to write. Bounded by characters, which for all but a few lines are bytes. */
  #gathered = "";
  /** What is being written, and how much of it has been. */
  #leaving: Buffer | null = null;
  #left = 0;
  /** From the first write of a batch to its end, tries after failures included. */
  #busy = false;
  #timer: Timer | null = null;
  #failing = false;
  /** When `close` gives up on a reader who takes nothing; null before it is called. */
  #closeBy: number | null = null;
  readonly #flushed: (() => void)[] = [];
  #lines = 0;
  #dropped = 0;
  #droppedUnsaid = 0;

  /** Throws START_LOG_UNUSABLE when the file cannot be opened. */
  constructor(options: LineWriterOptions) {
    const { to, clock } = options;
    this.#options = options;
    this.#clock = clock;
    this.#path = typeof to === "string" ? to : null;
    this.#waitingBytesMax = options.waitingBytesMax ?? waitingBytesDefault;
    this.#descriptor = typeof to === "number" ? to : openOrExplain(to);
    if (this.#path !== null) this.#file = fstatSync(this.#descriptor);
    this.#lookedAt = clock.now();
  }

  get counters(): LineCounters {
    return { lines: this.#lines, dropped: this.#dropped };
  }

  /** `line` ends with its newline. */
  write(line: string): void {
    const waiting = this.#gathered.length + (this.#leaving === null ? 0 : this.#leaving.length - this.#left);
    if (this.#closeBy !== null || waiting + line.length > this.#waitingBytesMax) {
      this.#dropped++;
      this.#droppedUnsaid++;
      return;
    }
    this.#lines++;
    this.#gathered += line;
    if (this.#busy) return;
    if (this.#gathered.length >= gatherBytes) this.#begin();
    else this.#timer ??= this.#clock.after(flushMs, () => this.#begin());
  }

  /** Looks with the next lines whether the file is still the one of that name: it need not wait for its second. */
  reopen(): void {
    this.#lookedAt = Number.NEGATIVE_INFINITY;
  }

  /** Resolves when all lines given so far are written, or given up by `close`. */
  flush(): Promise<void> {
    return new Promise((done) => {
      this.#flushed.push(done);
      if (!this.#busy) this.#begin();
    });
  }

  /** Writes what is left and closes the file. What cannot be written now is dropped. */
  async close(): Promise<void> {
    this.#closeBy ??= this.#clock.now() + closeMs;
    await this.flush();
    if (this.#path !== null && this.#descriptor >= 0) close(this.#descriptor);
    this.#descriptor = -1;
  }

  /** For the end of the process: what waits is written before this returns, unless nobody takes it. */
  flushSync(): void {
    const bytes = Buffer.from(this.#gathered);
    this.#gathered = "";
    let left = 0;
    for (let tries = 0; left < bytes.length && tries < 50 && this.#descriptor >= 0; ) {
      try {
        left += writeSync(this.#descriptor, bytes, left);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
        tries++;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, againMs);
      }
    }
  }

  #begin(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#busy = true;
    const now = this.#clock.now();
    if (this.#path === null || this.#leaving !== null || now - this.#lookedAt < lookMs) this.#writeNext();
    else {
      this.#lookedAt = now;
      this.#look(this.#path, () => this.#writeNext());
    }
  }

  /** Opens the file anew when another stands at its path, or none. The old one is kept when that fails. */
  #look(path: string, done: () => void): void {
    stat(path, (error, found) => {
      if (error === null && found.ino === this.#file?.ino && found.dev === this.#file.dev) return done();
      open(path, "a", fileMode, (failure, descriptor) => {
        if (failure !== null) this.#fail(failure);
        else {
          close(this.#descriptor);
          this.#descriptor = descriptor;
          this.#file = fstatSync(descriptor);
        }
        done();
      });
    });
  }

  #writeNext(): void {
    if (this.#leaving === null) {
      if (this.#gathered === "") {
        this.#rest();
        return;
      }
      this.#leaving = Buffer.from(this.#take());
      this.#left = 0;
    }
    write(this.#descriptor, this.#leaving, this.#left, this.#leaving.length - this.#left, null, (error, written) => {
      if (error !== null) this.#tryAgain(error);
      else this.#wrote(written);
    });
  }

  /** Whole lines, so that a file which is moved away holds no half of one. */
  #take(): string {
    const all = this.#gathered;
    const end = all.length <= writeBytesMax ? 0 : all.lastIndexOf("\n", writeBytesMax) + 1;
    this.#gathered = end === 0 ? "" : all.slice(end);
    return end === 0 ? all : all.slice(0, end);
  }

  #wrote(bytes: number): void {
    this.#left += bytes;
    if (this.#leaving !== null && this.#left < this.#leaving.length) {
      this.#writeNext();
      return;
    }
    this.#leaving = null;
    this.#failing = false;
    if (this.#droppedUnsaid > 0 && this.#gathered.length < this.#waitingBytesMax / 2) {
      const lines = this.#droppedUnsaid;
      this.#droppedUnsaid = 0;
      this.#options.onDropped?.(lines);
    }
    if (this.#gathered.length >= gatherBytes || this.#flushed.length > 0) this.#begin();
    else this.#rest();
  }

  #tryAgain(error: NodeJS.ErrnoException): void {
    const isFull = error.code === "EAGAIN";
    if (!isFull) this.#fail(error);
    if (this.#closeBy !== null && (!isFull || this.#clock.now() >= this.#closeBy)) {
      this.#leaving = null;
      this.#gathered = "";
      this.#rest();
      return;
    }
    // A file that was put in the place of one that fails is found at once; but half a line waits for its other half.
    if (!isFull && this.#left === 0) this.#lookAgain();
    this.#clock.after(isFull ? againMs : retryMs, () => this.#begin());
  }

  /** Gives the batch back, to be written to whatever file stands at the path then. */
  #lookAgain(): void {
    this.#gathered = (this.#leaving?.toString() ?? "") + this.#gathered;
    this.#leaving = null;
    this.reopen();
  }

  #fail(error: Error): void {
    if (!this.#failing) this.#options.onFailure?.(error);
    this.#failing = true;
  }

  /** Nothing is being written; a few lines may have gathered meanwhile. */
  #rest(): void {
    this.#busy = false;
    if (this.#gathered !== "") this.#timer ??= this.#clock.after(flushMs, () => this.#begin());
    for (const done of this.#flushed.splice(0)) done();
  }
}

function openOrExplain(path: string): number {
  try {
    return openSync(path, "a", fileMode);
  } catch (cause) {
    throw new OperatorError("START_LOG_UNUSABLE", {
      where: `log.requests.file, ${path}`,
      seen: cause instanceof Error ? cause.message : String(cause),
      allowed: "a file that this user may append to",
      hint: "Make its folder, or name another file.",
      cause,
    });
  }
}
