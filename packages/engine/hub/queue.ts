/** First in, first out, without moving the rest at every step and without keeping hold of what has left. */
export class Queue<T extends object> {
  #items: (T | null)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** The one that is next; null when there is none. */
  get first(): T | null {
    return this.#items[this.#head] ?? null;
  }

  /** The one that is `index` places behind the first. */
  at(index: number): T | null {
    return this.#items[this.#head + index] ?? null;
  }

  shift(): T | null {
    const item = this.first;
    if (item === null) return null;
    this.#items[this.#head++] = null;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  *[Symbol.iterator](): Generator<T> {
    for (let at = this.#head; at < this.#items.length; at++) yield this.#items[at]!;
  }
}
