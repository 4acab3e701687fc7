/**
 * W3C Trace Context (https://www.w3.org/TR/trace-context/): whether a request belongs to a trace already, and new traces for
 * those that do not. `traceparent` is `version-traceId-parentId-flags`. Refuses to record anything: whoever only passes
 * a trace on leaves `traceparent` as it is (§4.3).
 */
import type { FieldList, Random } from "@tideway/base";

/** §3.2: lower-case hexadecimal; version ff, a trace or parent of zeros are invalid; later versions may say more behind. */
const parentForm = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/;
const PARENT_LENGTH = 55;

/**
 * The trace id (32 digits) of a request with a valid `traceparent`; null when there is none and no `tracestate` either; empty
 * when what is there is invalid, which makes both fields worthless (§3.2.2.5, §3.3).
 */
export function readTrace(fields: FieldList): string | null {
  let parent = "";
  let parents = 0;
  let states = 0;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] === "traceparent") {
      parent = fields[i + 1]!;
      parents++;
    } else if (fields[i] === "tracestate") states++;
  }
  if (parents === 0) return states === 0 ? null : "";
  if (parents > 1 || !parentForm.test(parent)) return "";
  // Version 00 is exactly this long (§3.2.2).
  return parent.length === PARENT_LENGTH || !parent.startsWith("00") ? parent.slice(3, 35) : "";
}

/** The same fields without `traceparent` and `tracestate`. */
export function withoutTrace(fields: FieldList): FieldList {
  const kept: FieldList = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== "traceparent" && fields[i] !== "tracestate") kept.push(fields[i]!, fields[i + 1]!);
  }
  return kept;
}

/** Ids are made so many at a time: one call into the buffer's text for all of them. */
const BATCH = 64;
/** A trace id, a hyphen and a parent id. */
const PAIR_LENGTH = 49;

/**
 * New trace and parent ids: unpredictable only at the start, then a generator of good statistical quality (sfc32, with a
 * counter in it), for samplers decide by the ids' bits and nobody may rely on them as secrets (§3.2.2.3, §7.1). No
 * call to the system per request: about 0.2 µs.
 */
export class TraceSource {
  readonly #digits = Buffer.alloc(BATCH * PAIR_LENGTH, "-", "latin1");
  #text = "";
  #used = BATCH;
  #a: number;
  #b: number;
  #c: number;
  #count = 1;

  constructor(random: Random) {
    const seed = random.bytes(12);
    const word = (at: number) => seed[at]! | (seed[at + 1]! << 8) | (seed[at + 2]! << 16) | (seed[at + 3]! << 24);
    this.#a = word(0);
    this.#b = word(4);
    this.#c = word(8);
    // The generator's own advice: the first dozen of numbers still show the seed.
    for (let i = 0; i < 12; i++) this.#word();
  }

  /** `traceId-parentId`, 32 and 16 digits. That one of them is all zeros does not happen in the life of a machine. */
  next(): string {
    if (this.#used === BATCH) this.#fill();
    const at = PAIR_LENGTH * this.#used++;
    return this.#text.slice(at, at + PAIR_LENGTH);
  }

  #fill(): void {
    const digits = this.#digits;
    for (let pair = 0, at = 0; pair < BATCH; pair++) {
      for (let word = 0; word < 6; word++) {
        // The hyphen stands there already.
        if (word === 4) at++;
        for (let bits = this.#word(), i = 0; i < 8; i++, bits >>>= 4) {
          const digit = bits & 15;
          digits[at++] = digit < 10 ? 0x30 + digit : 0x57 + digit;
        }
      }
    }
    this.#text = digits.toString("latin1");
    this.#used = 0;
  }

  #word(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#count) | 0;
    this.#count = (this.#count + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum;
  }
}
