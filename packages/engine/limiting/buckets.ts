/**
 * Owns token buckets by key, in a bounded amount of memory (GCRA, ITU-T I.371 annex A: a bucket is one number, the time at
 * which it will be full again). Refuses to know what a key is, and how a request is answered.
 *
 * A full bucket is the same as none, so it is dropped as time passes. When there are too many that are not full, the one
 * that would be full soonest goes: the least is forgotten, and exhausted buckets, which are full last, go last. Whoever
 * wants an exhausted one pushed out must exhaust as many others as there is room for, each with its whole burst.
 *
 * Buckets hang in lists by the time at which they are full (a timing wheel), so that each step costs the same however many
 * there are, and a known key costs no allocation.
 */
import { assert } from "@tideway/base";

/** The wheel's lists divide the time that an empty bucket takes to fill; two more for what is rounded up. */
const listCount = 66;
const divisions = 64;
/** The list of buckets that are full and wait to be dropped. */
const full = listCount;
/** Lists are rings through a node of their own; buckets' nodes come behind those. */
const firstBucket = listCount + 1;
/** Full buckets that are dropped at each step: more than come, few enough not to be felt. */
const dropsPerStep = 32;
const roomAtFirst = 256;

export class Buckets {
  readonly #intervalMs: number;
  readonly #depthMs: number;
  readonly #keysMax: number;
  readonly #divisionMs: number;
  readonly #byKey = new Map<string, number>();
  readonly #keys: string[] = [];
  /** By node: when the bucket is full. */
  #fullAt = new Float64Array(firstBucket + roomAtFirst);
  #next = new Int32Array(firstBucket + roomAtFirst);
  #previous = new Int32Array(firstBucket + roomAtFirst);
  /** Nodes that were used and are free again, one behind the other by `#next`; 0 for none. */
  #free = 0;
  #nodesUsed = firstBucket;
  /** The division of time up to which buckets were moved to `full`. */
  #division = 0;

  /** A token comes every `intervalMs`; a bucket holds `burst`. */
  constructor(intervalMs: number, burst: number, keysMax: number) {
    this.#intervalMs = intervalMs;
    this.#depthMs = intervalMs * burst;
    this.#keysMax = keysMax;
    this.#divisionMs = this.#depthMs / divisions;
    for (let list = 0; list < firstBucket; list++) this.#next[list] = this.#previous[list] = list;
  }

  /** Buckets that are remembered; never more than `keysMax`. */
  get count(): number {
    return this.#byKey.size;
  }

  /**
   * Takes a token out of the key's bucket. Answers how long the bucket now needs to be full, in milliseconds; or, when it
   * held no whole token, minus the time until it does, and nothing was taken.
   */
  take(key: string, now: number): number {
    this.#turn(now);
    const known = this.#byKey.get(key);
    const fullAt = known === undefined ? now : Math.max(this.#fullAt[known]!, now);
    const needed = fullAt + this.#intervalMs - now;
    // Sums of fractions differ from whole tokens by some 1e-10 of them.
    const short = needed - this.#depthMs;
    if (short > this.#intervalMs * 1e-6) {
      // A bucket whose burst is less than a token would never give one; `compileRate` makes none.
      assert(known !== undefined, "a full bucket has a token");
      return -short;
    }
    const node = known ?? this.#add(key);
    const before = known === undefined ? -1 : this.#divisionOf(this.#fullAt[node]!);
    this.#fullAt[node] = fullAt + this.#intervalMs;
    const division = this.#divisionOf(this.#fullAt[node]!);
    if (division !== before) {
      if (known !== undefined) this.#unlink(node);
      this.#append(division % listCount, node);
    }
    return needed;
  }

  #divisionOf(time: number): number {
    return Math.floor(time / this.#divisionMs);
  }

  /** Time has passed: what is full by now goes to one list, a few of which are dropped. */
  #turn(now: number): void {
    const division = this.#divisionOf(now);
    const passed = Math.min(division - this.#division, listCount);
    for (let i = 0; i < passed; i++) this.#moveAll((this.#division + i) % listCount);
    if (passed > 0) this.#division = division;
    for (let i = 0; i < dropsPerStep && this.#next[full] !== full; i++) this.#drop(this.#next[full]!);
  }

  /** Everything of a list to the end of `full`: two rings are made one. */
  #moveAll(list: number): void {
    const first = this.#next[list]!;
    if (first === list) return;
    const last = this.#previous[list]!;
    const end = this.#previous[full]!;
    this.#next[end] = first;
    this.#previous[first] = end;
    this.#next[last] = full;
    this.#previous[full] = last;
    this.#next[list] = this.#previous[list] = list;
  }

  #append(list: number, node: number): void {
    const end = this.#previous[list]!;
    this.#next[end] = node;
    this.#previous[node] = end;
    this.#next[node] = list;
    this.#previous[list] = node;
  }

  #unlink(node: number): void {
    const before = this.#previous[node]!;
    const after = this.#next[node]!;
    this.#next[before] = after;
    this.#previous[after] = before;
  }

  #drop(node: number): void {
    this.#unlink(node);
    this.#byKey.delete(this.#keys[node - firstBucket]!);
    this.#keys[node - firstBucket] = "";
    this.#next[node] = this.#free;
    this.#free = node;
  }

  #add(key: string): number {
    if (this.#byKey.size >= this.#keysMax) this.#dropSoonest();
    let node = this.#free;
    if (node !== 0) this.#free = this.#next[node]!;
    else {
      node = this.#nodesUsed++;
      if (node >= this.#next.length) this.#grow();
    }
    // A copy of its own: what was cut out of a request's head may keep the whole head in memory.
    const own = ` ${key}`.slice(1);
    this.#keys[node - firstBucket] = own;
    this.#byKey.set(own, node);
    return node;
  }

  /** The one that is full soonest, by divisions; of a division's the one that came to it first. */
  #dropSoonest(): void {
    let list = full;
    for (let i = 0; this.#next[list] === list; i++) {
      assert(i < listCount, "a bucket that is remembered hangs in a list");
      list = (this.#division + i) % listCount;
    }
    this.#drop(this.#next[list]!);
  }

  #grow(): void {
    const length = this.#next.length * 2;
    const grown = <T extends Int32Array | Float64Array>(old: T, made: T): T => {
      made.set(old);
      return made;
    };
    this.#fullAt = grown(this.#fullAt, new Float64Array(length));
    this.#next = grown(this.#next, new Int32Array(length));
    this.#previous = grown(this.#previous, new Int32Array(length));
  }
}
