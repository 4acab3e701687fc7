/**
 * The data directory and other files: may this user write, may nobody else read, is there room, and how long does a durable
 * write take? Writes and removes one file of its own; changes nothing else.
 */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fdatasyncSync,
  openSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { type Finding, fault, ok, type Subject, warning } from "./finding.ts";

const mebibyte = 1024 * 1024;
const faultBytes = 64 * mebibyte;
const warningBytes = 1024 * mebibyte;
const warningShare = 0.05;
/** A durable event waits for about one write; browsers and people notice from here on. */
const slowSyncMs = 20;
const syncs = 5;
const tmpfs = 0x01021994;

export interface DataPlace {
  readonly directory: string;
  /** Streams are kept on disk: what is lost there is missed. */
  readonly isDurable: boolean;
  /** Files and folders besides that are written to (the access log's) or read (static files, an application's folder). */
  readonly writes: readonly string[];
  readonly reads: readonly { readonly path: string; readonly option: string }[];
}

export function examinePermissions({ directory, writes, reads }: DataPlace): Finding[] {
  const findings = [examineDirectory(directory)];
  for (const name of ["console-token", "metrics-token"]) {
    const path = join(directory, name);
    const mode = modeOf(path);
    if (mode !== null && (mode & 0o077) !== 0)
      findings.push(fault("permissions", `${path} can be read by others (mode ${octal(mode)})`, `chmod 600 ${path}`));
  }
  for (const path of writes) findings.push(examineWritten(path));
  for (const { path, option } of reads) {
    if (may(path, constants.R_OK | constants.X_OK)) findings.push(ok("permissions", `${path} can be read (${option})`));
    else
      findings.push(
        fault(
          "permissions",
          `${path} cannot be read (${option})`,
          `Make it, or let this user read it: chmod -R u+rX ${path}`,
        ),
      );
  }
  if (process.getuid?.() === 0) {
    const what = "Tideway would run as root, and so would the applications that it starts";
    findings.push(warning("permissions", what, "Run it as a user of its own."));
  }
  return findings;
}

function examineDirectory(directory: string): Finding {
  const mode = modeOf(directory);
  if (mode === null) {
    const parent = nearest(directory);
    if (may(parent, constants.W_OK)) return ok("permissions", `${directory} will be made at the first start`);
    return fault(
      "permissions",
      `${directory} is not there, and ${parent} is not writable`,
      "Make it, or change `data`.",
    );
  }
  if (!may(directory, constants.R_OK | constants.W_OK | constants.X_OK))
    return fault(
      "permissions",
      `${directory} is not writable for this user`,
      `chown it to this user, or change \`data\`.`,
    );
  if ((mode & 0o077) !== 0)
    return warning("permissions", `${directory} is open to others (mode ${octal(mode)})`, `chmod 700 ${directory}`);
  return ok("permissions", `${directory} is writable, and this user's alone`);
}

function examineWritten(path: string): Finding {
  const folder = dirname(path);
  const good = existsSync(path) ? may(path, constants.W_OK) : may(folder, constants.W_OK);
  if (good) return ok("permissions", `${path} can be appended to`);
  return fault("permissions", `${path} cannot be written`, `Make ${folder} and let this user write there.`);
}

export function examineDisk(place: DataPlace): Finding[] {
  const folder = nearest(place.directory);
  const findings = [...new Set([folder, ...place.writes.map((path) => nearest(dirname(path)))])].map(examineRoom);
  if (place.isDurable && statfsSync(folder).type === tmpfs) {
    const what = `${folder} is in memory: streams that should be durable are gone at a restart of the machine`;
    findings.push(warning("disk", what, "Put `data` on a disk."));
  }
  if (may(folder, constants.W_OK)) findings.push(examineSync(folder));
  return findings;
}

function examineRoom(folder: string): Finding {
  const { bavail, bsize, blocks, ffree, files } = statfsSync(folder);
  const free = bavail * bsize;
  const share = blocks === 0 ? 1 : bavail / blocks;
  const what = `${folder}: ${Math.round(free / mebibyte).toLocaleString("en")} MiB free, ${Math.round(share * 100)} %`;
  const fix = "Make room, or put `data` elsewhere.";
  if (free < faultBytes) return fault("disk", what, fix);
  if (files > 0 && ffree < 1_000) return fault("disk", `${folder}: room for ${ffree} more files`, fix);
  return free < warningBytes || share < warningShare ? warning("disk", what, fix) : ok("disk", what);
}

function examineSync(folder: string): Finding {
  const path = join(folder, `.tideway-doctor-${process.pid}`);
  const subject: Subject = "disk";
  try {
    const ms = medianSyncMs(path);
    const what = `${folder}: a durable write takes ${ms.toFixed(1)} ms`;
    const fix = "Put `data` on a faster disk; durable events wait for it.";
    return ms > slowSyncMs ? warning(subject, what, fix) : ok(subject, what);
  } catch (error) {
    const seen = error instanceof Error ? error.message : String(error);
    return fault(subject, `${folder}: a write failed: ${seen}`, "See whether the disk is full, or mounted read-only.");
  } finally {
    rmSync(path, { force: true });
  }
}

function medianSyncMs(path: string): number {
  const file = openSync(path, "wx", 0o600);
  try {
    const times = Array.from({ length: syncs }, () => {
      const before = performance.now();
      writeSync(file, Buffer.alloc(4096, "x"));
      fdatasyncSync(file);
      return performance.now() - before;
    });
    return times.sort((a, b) => a - b)[Math.floor(syncs / 2)]!;
  } finally {
    closeSync(file);
  }
}

/** The path itself, or the closest folder above that exists. */
function nearest(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearest(dirname(path));
}

function modeOf(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.mode ?? null;
}

const octal = (mode: number): string => (mode & 0o777).toString(8);

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
