/**
 * Process groups, and how to know a process again. Every instance leads a group of its own, so that what it started ends
 * with it. A process is known by its number and its start: numbers are given anew, also after the machine restarts.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

const POLL_MS = 10;

/** Sends a signal to a whole group; false when no such group is left. */
export function signalGroup(leader: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-leader, signal);
    return true;
  } catch {
    return false;
  }
}

/**
 * Waits until nothing of the group is left, at most `timeoutMs`; says whether it is gone. In the system's own time, by a
 * timer that keeps the loop alive: it watches the kernel, and may be the last thing that a stopping Tideway waits for.
 */
export function groupGone(leader: number, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  return new Promise((resolve) => {
    const look = (): void => {
      if (!groupLives(leader)) resolve(true);
      else if (performance.now() >= deadline) resolve(false);
      else setTimeout(look, POLL_MS);
    };
    look();
  });
}

/**
 * Whether a process of the group still runs. One that has ended but was not collected by its parent counts as gone: in a
 * container whose first process collects nobody, orphans stay in that state for ever.
 */
function groupLives(leader: number): boolean {
  if (!signalGroup(leader, 0)) return false;
  if (process.platform !== "linux") return true;
  for (const entry of readdirSync("/proc")) {
    const stat = /^\d+$/.test(entry) ? readStat(entry) : null;
    if (stat !== null && stat.group === leader && !stat.ended) return true;
  }
  return false;
}

/** State, group and start of a process, from proc(5) /proc/PID/stat; null when there is no such process. */
function readStat(pid: number | string): { ended: boolean; group: number; start: string } | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return null;
  }
  // The program's name, in brackets, may hold anything. Behind it: state (field 3), parent, group (5) … start (22).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { ended: fields[0] === "Z" || fields[0] === "X", group: Number(fields[2]), start: fields[19] ?? "" };
}

/** When a process started, in words of the system that are only ever compared; null when there is no such process. */
export function startOf(pid: number): string | null {
  if (process.platform === "linux") {
    const stat = readStat(pid);
    // Ticks since the machine started: they mean something only together with that start.
    return stat === null || stat.ended
      ? null
      : `${readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()}/${stat.start}`;
  }
  try {
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim() || null;
  } catch {
    return null;
  }
}
