/**
 * One file as a lock between processes of this machine. Its owner is named in it by process id and start time, so that a
 * lock whose owner was killed is recognised and taken over; nothing needs to be cleaned up by hand.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const pollMs = 100;

/** When a process began, in the kernel's ticks: tells an owner from a later process that was given the same id. */
function startOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return "";
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function isHeld(owner) {
  const [pid, start] = owner.split(" ");
  return /^\d+$/.test(pid) && isAlive(Number(pid)) && (!start || startOf(pid) === start);
}

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/** Removes a lock whose owner is gone. Moves it aside first and looks again: it may have changed hands meanwhile. */
function discard(path, owner) {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  if (read(aside) !== owner) {
    try {
      linkSync(aside, path);
    } catch {
      // Somebody took it in between: one of both will find the work done.
    }
  }
  rmSync(aside, { force: true });
}

/** Waits until the lock at `path` is ours, calling `onWait` once if it must wait. Returns what releases it. */
export async function acquire(path, onWait) {
  const mine = `${process.pid} ${startOf(process.pid)}`;
  // Written whole under another name and linked into place, so that a lock without its owner's name is never seen.
  const draft = `${path}.${process.pid}.new`;
  writeFileSync(draft, mine);
  try {
    for (let waited = false; ; waited = true) {
      try {
        linkSync(draft, path);
        return () => {
          if (read(path) === mine) rmSync(path, { force: true });
        };
      } catch (error) {
        if (error.code !== "EEXIST") throw error;
      }
      const owner = read(path);
      if (owner === null) continue;
      if (!isHeld(owner)) {
        discard(path, owner);
        continue;
      }
      if (!waited) onWait();
      await sleep(pollMs);
    }
  } finally {
    rmSync(draft, { force: true });
  }
}
