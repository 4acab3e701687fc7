/** CPU time that processes have used, from Linux's `/proc`: user and system, with their children that still run. */
import { readFileSync } from "node:fs";

/** The kernel reports in hundredths of a second on every machine that Debian runs on. */
const tickMs = 10;

function cpuOfOne(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // The second field is the command's name in brackets, and may hold spaces; utime and stime are the 14th and 15th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}

/** The process and all that descend from it. */
export function processTree(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim();
  return [pid, ...(children === "" ? [] : children.split(" ").flatMap((child) => processTree(Number(child))))];
}

/** Milliseconds of CPU that the process and its descendants have used since they began. */
export function cpuOf(pid: number): number {
  return processTree(pid).reduce((sum, each) => sum + cpuOfOne(each), 0);
}
