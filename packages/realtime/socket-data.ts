/**
 * `socket.data`: an object of the user's, kept by the hub so that it survives a handover and a reconnect. Owns noticing
 * that it changed.
 *
 * It is noticed when the property is read (whoever reads it may go on to change what is inside) or something is set on
 * it; then, when the user's code has run, its JSON is compared with what the hub has. A nested object that was taken out
 * earlier and is changed much later is noticed at the next access.
 */
export interface DataKeeper {
  get(): unknown;
  set(value: unknown): void;
  /** Compares now: true when there was something to tell. */
  check(): boolean;
}

export function keepData(json: string, tell: (json: string) => void, fault: (error: unknown) => void): DataKeeper {
  let known = json === "" ? "{}" : json;
  let due = false;
  const check = () => {
    due = false;
    let now: string;
    try {
      now = JSON.stringify(value) ?? "null";
    } catch (error) {
      fault(error);
      return false;
    }
    if (now === known) return false;
    known = now;
    tell(now);
    return true;
  };
  const touch = () => {
    if (due) return;
    due = true;
    // Before the turn ends, and so in the same batch as what the user's code sent.
    queueMicrotask(() => {
      if (due) check();
    });
  };
  let value = watch(JSON.parse(known), touch);
  return {
    get() {
      touch();
      return value;
    },
    set(next) {
      value = watch(next, touch);
      touch();
    },
    check,
  };
}

/** `data` itself behind a proxy: `socket.data.user = await find()` sets long after it read. */
function watch(value: unknown, touch: () => void): unknown {
  if (typeof value !== "object" || value === null) return value;
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
