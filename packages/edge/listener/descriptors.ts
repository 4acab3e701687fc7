/**
 * How many connections a process may hold: a share of its descriptors, because a proxied request takes two and files,
 * logs and stores want some as well.
 */
import { readFileSync } from "node:fs";

const SHARE = 0.4;
const UNKNOWN = 4_096;
const LARGEST = 100_000;

export function connectionsShare(): number {
  try {
    const match = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"));
    if (match !== null) return Math.min(LARGEST, Math.max(16, Math.floor(Number(match[1]) * SHARE)));
  } catch {
    // Not Linux: the limit cannot be read.
  }
  return UNKNOWN;
}
