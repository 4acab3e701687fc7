/**
 * Assertions: for our own faults only. A peer's fault is a value with a code, never an assertion.
 */

export class AssertionFault extends Error {
  override name = "AssertionFault";
}

/** Throws an {@link AssertionFault} unless `condition` holds. `what` says which invariant broke. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new AssertionFault(`invariant broken: ${what}`);
}

/** For the default branch of a switch over a closed union: the compiler proves that it is never reached. */
export function unreachable(value: never): never {
  throw new AssertionFault(`unreachable value: ${JSON.stringify(value)}`);
}
