/**
 * What those between the listener and the target asked of one exchange: fields for its answer, changes to its head, and to be
 * told of its end. Made only for exchanges of which somebody asks something.
 */
import type { FieldList } from "@tideway/base";

export class Guards {
  #appended: FieldList | null = null;
  #changes: ((status: number, fields: FieldList) => FieldList)[] | null = null;
  #watchers: (() => void)[] | null = null;

  append(name: string, value: string): void {
    if (this.#appended === null) this.#appended = [name, value];
    else this.#appended.push(name, value);
  }

  rewrite(change: (status: number, fields: FieldList) => FieldList): void {
    if (this.#changes === null) this.#changes = [change];
    else this.#changes.push(change);
  }

  whenOver(callback: () => void): void {
    if (this.#watchers === null) this.#watchers = [callback];
    else this.#watchers.push(callback);
  }

  /** The fields that are sent in place of the target's: changed in the order in which that was asked for, then added to. */
  fieldsOf(status: number, fields: FieldList): FieldList {
    let changed = fields;
    if (this.#changes !== null) for (const change of this.#changes) changed = change(status, changed);
    return this.#appended === null ? changed : [...changed, ...this.#appended];
  }

  /** Calls back those who wait for the end, once. What one of them throws keeps it from none. */
  over(failed: (error: unknown) => void): void {
    const watchers = this.#watchers;
    if (watchers === null) return;
    this.#watchers = null;
    for (const watcher of watchers) {
      try {
        watcher();
      } catch (error) {
        failed(error);
      }
    }
  }
}
