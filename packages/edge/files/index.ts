/**
 * Front door of `edge/files`: serves the files below a folder as a Target. GET and HEAD with conditional and range
 * requests (RFC 9110 §13, §14), codings that lie beside the file, folders by their index.html, one fallback for
 * single-page applications. Never serves what lies outside its folder or is hidden, and never lists or writes.
 */
import { resolve } from "node:path";
import {
  type AnswerErrorCode,
  type Clock,
  type Exchange,
  type FieldList,
  type Logger,
  type Random,
  renderError,
  type Target,
} from "@tideway/base";
import { field, joinedField } from "@tideway/wire/fields";
import { judge, Verdict } from "./conditions.ts";
import { chooseCoding } from "./encodings.ts";
import { Asked, type ByteRange, parseRange } from "./ranges.ts";
import { FileSender, type Piece } from "./send.ts";
import { FileStore, Found, isAbsent, type Lookup, openResolved, type Representation, stampOf } from "./store.ts";

export interface FilesOptions {
  /** The folder. It may be a link that is turned to another folder: the next look follows it. */
  readonly root: string;
  /** File below the root, such as `index.html`, for paths that name none: the pages of a single-page application. */
  readonly fallback?: string;
  /** Path prefix such as `/assets/` below which files never change, for their names hold a hash. */
  readonly immutable?: string;
  /** How long a file's look is trusted; 1 s unless given. */
  readonly checkMs?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface FilesTarget extends Target {
  /**
   * `strip` is the part of the path that leads to this target and is no part of a file's name, such as `/docs`; `rewrite`
   * stands in its place, such as `/v2`.
   */
  handle(exchange: Exchange, strip?: string, rewrite?: string): void;
}

const ALLOW: FieldList = ["allow", "GET, HEAD, OPTIONS"];
/** Looks at a file that changes each time, before the client is told to come again. */
const LOOKS_MAX = 3;
const NOSNIFF: FieldList = ["x-content-type-options", "nosniff"];

export function createFiles(given: FilesOptions): FilesTarget {
  const immutable = given.immutable === undefined ? {} : { immutable: `/${given.immutable.replace(/^\/+/, "")}` };
  const options = { ...given, ...immutable };
  const store = new FileStore({
    root: resolve(options.root),
    clock: options.clock,
    checkMs: options.checkMs ?? 1_000,
    immutable: options.immutable,
  });
  return {
    handle(exchange, strip = "", rewrite = "") {
      const { method, path } = exchange.head;
      const prefix = strip.replace(/\/$/, "");
      const answer = new FileAnswer(
        exchange,
        rewrite + (path.startsWith(prefix) ? path.slice(prefix.length) : path),
        store,
        options,
      );
      exchange.accept(answer);
      if (method === "GET" || method === "HEAD") answer.start();
      else if (method === "OPTIONS") answer.allow();
      else answer.refuse("HTTP_METHOD", ALLOW);
    },
  };
}

class FileAnswer {
  readonly #exchange: Exchange;
  readonly #path: string;
  readonly #store: FileStore;
  readonly #options: FilesOptions;
  #sender: FileSender | null = null;
  #closed = false;
  #responded = false;
  #looks = 0;

  constructor(exchange: Exchange, path: string, store: FileStore, options: FilesOptions) {
    this.#exchange = exchange;
    this.#path = path;
    this.#store = store;
    this.#options = options;
  }

  /* A body with a GET means nothing here (RFC 9110 §9.3.1). */
  onBody(): void {}
  onBodyEnd(): void {}

  onDrain(): void {
    this.#sender?.drained();
  }

  onClose(): void {
    this.#closed = true;
    this.#sender?.cancel();
  }

  start(): void {
    const held = this.#store.held(this.#path);
    // What is held in memory is answered within this tick.
    if (held?.found === Found.file && this.#answerFromMemory(this.#path, held.representations)) return;
    this.#answer(held).catch((error: unknown) => this.#fail(error));
  }

  async #answer(held: Lookup | undefined): Promise<void> {
    const lookup = held ?? (await this.#store.find(this.#path));
    if (this.#closed) return;
    if (lookup.found === Found.file) return this.#sendFile(this.#path, lookup.representations);
    // An empty path is a stripped prefix without its slash: a folder's address too.
    const folder = lookup.found === Found.folder || this.#path === "";
    if (folder && (await this.#hasIndex())) return this.#redirectToFolder();
    const { fallback } = this.#options;
    if (fallback === undefined || !this.#wantsPage()) return this.refuse("HTTP_NOT_FOUND");
    const path = `/${fallback.replace(/^\/+/, "")}`;
    const page = this.#store.held(path) ?? (await this.#store.find(path));
    if (page.found === Found.file) return this.#sendFile(path, page.representations);
    this.refuse("HTTP_NOT_FOUND");
  }

  allow(): void {
    this.#sendEmpty(204, [...ALLOW], 0);
  }

  refuse(code: AnswerErrorCode, added: FieldList = []): void {
    if (this.#closed) return;
    const accept = joinedField(this.#exchange.head.fields, "accept");
    const { status, fields, body } = renderError(code, accept, "", this.#exchange.id);
    this.#sendText(status, [...fields, ...NOSNIFF, ...added], body);
  }

  #fail(error: unknown): void {
    if (this.#responded) {
      this.#options.logger.error({ path: this.#path, error: String(error) }, "an answer broke off");
      this.#exchange.abort();
      return;
    }
    if (isAbsent(error)) {
      // It was there a moment ago.
      this.#store.forget(this.#path);
      this.refuse("HTTP_NOT_FOUND");
      return;
    }
    const { code } = error as NodeJS.ErrnoException;
    this.#options.logger.error({ path: this.#path, error: String(error) }, "a file could not be served");
    this.refuse(code === "EMFILE" || code === "ENFILE" ? "HTTP_UNAVAILABLE" : "HTTP_INTERNAL");
  }

  async #hasIndex(): Promise<boolean> {
    const path = `${this.#path}/`;
    const lookup = this.#store.held(path) ?? (await this.#store.find(path));
    return lookup.found === Found.file;
  }

  #redirectToFolder(): void {
    const { path, query } = this.#exchange.head;
    // The path begins with one slash and holds no second beside it (names.ts): it stays on this site.
    this.#sendText(301, ["location", `${path}/${query}`, "content-type", "text/plain; charset=utf-8", ...NOSNIFF], "");
  }

  /** A page's address, not that of a missing script or picture: no extension, and HTML would be welcome. */
  #wantsPage(): boolean {
    const { immutable } = this.#options;
    if (immutable !== undefined && this.#path.startsWith(immutable)) return false;
    if (this.#path.slice(this.#path.lastIndexOf("/")).includes(".")) return false;
    const accept = joinedField(this.#exchange.head.fields, "accept");
    return accept === "" || accept.includes("text/html") || accept.includes("*/*");
  }

  #choose(representations: readonly Representation[]): Representation {
    const { fields } = this.#exchange.head;
    const asked = representations.length === 1 ? undefined : field(fields, "accept-encoding");
    const coding = chooseCoding(
      asked === undefined ? undefined : joinedField(fields, "accept-encoding"),
      representations,
    );
    return representations.find((one) => one.coding === coding)!;
  }

  /** Says whether that was enough: nothing needed the disk. */
  #answerFromMemory(path: string, representations: readonly Representation[]): boolean {
    const chosen = this.#choose(representations);
    if (chosen.body === null && this.#exchange.head.method !== "HEAD") return false;
    this.#send(path, chosen);
    return true;
  }

  #sendFile(path: string, representations: readonly Representation[]): void {
    if (!this.#closed) this.#send(path, this.#choose(representations));
  }

  #send(path: string, chosen: Representation): void {
    const exchange = this.#exchange;
    const { method, fields } = exchange.head;
    const verdict = judge(fields, chosen, this.#options.clock.wall());
    if (verdict === Verdict.preconditionFailed) {
      this.#sendEmpty(412, [...NOSNIFF], 0);
      return;
    }
    if (verdict === Verdict.notModified) {
      this.#sendEmpty(304, [...chosen.notModifiedFields], chosen.size);
      return;
    }
    // Ranges are defined for GET alone (RFC 9110 §14.2).
    const ranged = method === "GET" && verdict === Verdict.send;
    const { asked, ranges } = parseRange(ranged ? field(fields, "range") : undefined, chosen.size);
    if (asked === Asked.unsatisfiable) {
      this.refuse("HTTP_RANGE", ["content-range", `bytes */${chosen.size}`]);
      return;
    }
    const plan = this.#plan(chosen, ranges);
    if (method === "HEAD" || chosen.size === 0) {
      this.#sendEmpty(plan.status, plan.fields, plan.length);
    } else if (chosen.body === null) {
      this.#stream(path, chosen, plan).catch((error: unknown) => this.#fail(error));
    } else {
      this.#respond(plan.status, plan.fields, plan.length);
      for (const piece of plan.pieces) {
        exchange.write(piece instanceof Uint8Array ? piece : chosen.body.subarray(piece.first, piece.last + 1));
      }
      exchange.end();
    }
  }

  #plan(chosen: Representation, ranges: readonly ByteRange[]): Plan {
    const { size, type } = chosen;
    const [only] = ranges;
    if (only === undefined)
      return { status: 200, fields: [...chosen.fields], length: size, pieces: [{ first: 0, last: size - 1 }] };
    if (ranges.length === 1) {
      const fields = [...chosen.fields, "content-range", `bytes ${only.first}-${only.last}/${size}`];
      return { status: 206, fields, length: only.last - only.first + 1, pieces: [only] };
    }
    const boundary = this.#options.random.id();
    const pieces: Piece[] = [];
    let length = 0;
    for (const range of ranges) {
      const head = `\r\n--${boundary}\r\ncontent-type: ${type}\r\ncontent-range: bytes ${range.first}-${range.last}/${size}\r\n\r\n`;
      pieces.push(Buffer.from(head, "latin1"), range);
      length += head.length + range.last - range.first + 1;
    }
    const end = Buffer.from(`\r\n--${boundary}--\r\n`, "latin1");
    pieces.push(end);
    const fields = chosen.fields.with(
      chosen.fields.indexOf("content-type") + 1,
      `multipart/byteranges; boundary=${boundary}`,
    );
    return { status: 206, fields, length: length + end.length, pieces };
  }

  /** Opens the file, makes sure that it is still the one whose fields are sent, and sends it. */
  async #stream(path: string, chosen: Representation, plan: Plan): Promise<void> {
    const file = await openResolved(chosen.path);
    let same = false;
    try {
      same = !this.#closed && stampOf(await file.stat({ bigint: true })) === chosen.stamp;
    } finally {
      if (!same || this.#closed) await file.close();
    }
    if (this.#closed) return;
    if (!same) {
      // Replaced between the look and now: look again, a few times.
      this.#store.forget(path);
      if (++this.#looks < LOOKS_MAX) await this.#answer(undefined);
      else this.refuse("HTTP_UNAVAILABLE");
      return;
    }
    this.#sender = new FileSender(this.#exchange, file, plan.pieces, (error) => {
      this.#options.logger.error({ path, error: error.message }, "a file could not be read to its end");
    });
    this.#respond(plan.status, plan.fields, plan.length);
    this.#sender.run();
  }

  #sendEmpty(status: number, fields: FieldList, length: number): void {
    this.#respond(status, fields, length);
    this.#exchange.end();
  }

  #respond(status: number, fields: FieldList, length: number): void {
    this.#responded = true;
    this.#exchange.respond(status, fields, length);
  }

  #sendText(status: number, fields: FieldList, text: string): void {
    const body = Buffer.from(text);
    this.#respond(status, fields, body.length);
    if (body.length > 0) this.#exchange.write(body);
    this.#exchange.end();
  }
}

interface Plan {
  readonly status: number;
  readonly fields: FieldList;
  readonly length: number;
  readonly pieces: readonly Piece[];
}
