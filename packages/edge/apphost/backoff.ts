/** How long a service waits before it starts an instance again. */

const FIRST_MS = 100;
const BASE_MS = 250;
const MAX_MS = 30_000;

/**
 * Milliseconds to wait after the `failures`-th failure in a row (from 1). The first restart is nearly at once, for most
 * crashes are single; then it doubles up to 30 s, with jitter, so that instances do not start in step.
 */
export function backoffMs(failures: number, fraction: number): number {
  if (failures <= 1) return FIRST_MS * fraction;
  const full = Math.min(MAX_MS, BASE_MS * 2 ** Math.min(failures - 2, 16));
  return full * (0.5 + fraction / 2);
}
