/**
 * `socket.data`: an object of the user's, kept by the hub so that it survives a handover and a reconnect. Owns noticing
 * that it changed.
 *
 * It is noticed when the property is read (whoever reads it may go on to change what is inside) or something is set on
 * it; then, when the user's code has run, its JSON is compared with what the hub has. A nested object that was taken out
 * earlier and is changed much later is noticed at the next access.
 *
 * Most sockets carry nothing: until somebody looks, there is only the text.
 */
export interface DataOwner {
  /** The JSON is another than the hub has. */
  _dataChanged(json: string): void;
  /** It is not JSON. */
  _dataFault(error: unknown): void;
}

export class KeptData {
  readonly #owner: DataOwner;
  /** What the hub has. */
  #known: string;
  /** Null until somebody looks. */
  #value: { readonly watched: unknown } | null = null;
  #due = false;

  constructor(json: string, owner: DataOwner) {
    this.#known = json === "" ? "{}" : json;
    this.#owner = owner;
  }

  get(): unknown {
    this.#value ??= { watched: this.#watch(JSON.parse(this.#known)) };
    this.#touch();
    return this.#value.watched;
  }

  set(value: unknown): void {
    this.#value = { watched: this.#watch(value) };
    this.#touch();
  }

  /** Compares now. */
  check(): void {
    this.#due = false;
    if (this.#value === null) return;
    let now: string;
    try {
      now = JSON.stringify(this.#value.watched) ?? "null";
    } catch (error) {
      this.#owner._dataFault(error);
      return;
    }
    if (now === this.#known) return;
    this.#known = now;
    this.#owner._dataChanged(now);
  }

  #touch(): void {
    if (this.#due) return;
    this.#due = true;
    // Before the turn ends, and so in the same batch as what the user's code sent.
    queueMicrotask(() => {
      if (this.#due) this.check();
    });
  }

  /** `data` itself behind a proxy: `socket.data.user = await find()` sets long after it read. */
  #watch(value: unknown): unknown {
    if (typeof value !== "object" || value === null) return value;
    const touch = () => this.#touch();
    return new Proxy(value, {
      set(target, key, next) {
        touch();
        return Reflect.set(target, key, next);
      },
      deleteProperty(target, key) {
        touch();
        return Reflect.deleteProperty(target, key);
      },
      defineProperty(target, key, descriptor) {
        touch();
        return Reflect.defineProperty(target, key, descriptor);
      },
    });
  }
}
