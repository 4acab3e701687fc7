/**
 * What this tab keeps over a reload: unsent and unsaved words. Where the browser refuses storage, nothing is kept, and
 * nothing else fails.
 */

/** Undefined when nothing is kept there. */
export function recall<Value>(name: string): Value | undefined {
  try {
    return JSON.parse(sessionStorage.getItem(`commons.${name}`) ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}

export function keep(name: string, value: unknown): void {
  try {
    sessionStorage.setItem(`commons.${name}`, JSON.stringify(value));
  } catch {
    // Full or forbidden: the page itself still has it.
  }
}
