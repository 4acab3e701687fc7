/**
 * Resident memory of processes with their children, from Linux's `/proc`: now, and the most since it was asked to forget.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { processTree } from "./cpu.ts";

function kibibytesOf(pid: number, field: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? 0);
}

/** Its command line. */
export function commandOf(pid: number): readonly string[] {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
}

/** Bytes; memory that processes share counts once for each. */
export function residentOf(pid: number): number {
  return 1024 * processTree(pid).reduce((sum, each) => sum + kibibytesOf(each, "VmRSS"), 0);
}

/** Bytes: the sum of each process's most. */
export function peakOf(pid: number): number {
  return 1024 * processTree(pid).reduce((sum, each) => sum + kibibytesOf(each, "VmHWM"), 0);
}

/** From now on the most is counted anew (proc(5), `clear_refs`). */
export function forgetPeak(pid: number): void {
  for (const each of processTree(pid)) writeFileSync(`/proc/${each}/clear_refs`, "5");
}
