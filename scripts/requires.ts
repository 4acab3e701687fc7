/**
 * Programs, and modules of programs, from Debian packages that some tests and benchmarks speak to (`debian-packages.json`
 * says which package brings each). A test says `{ skip: requires("dig") }`: it is left out where dig is missing, and `npm test` says so at its end.
 * With CI=true nothing may be left out, so there it throws, and the file fails.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import packages from "./debian-packages.json" with { type: "json" };

export type Program = keyof typeof packages;

/** Debian keeps servers where only root's PATH looks. */
const serverFolders = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** The full path of the program, or of the file that is named by its path; null when it is not installed. */
export function findProgram(name: Program): string | null {
  const isFile = name.startsWith("/");
  const folders = isFile ? [""] : [...(process.env["PATH"] ?? "").split(delimiter), ...serverFolders];
  for (const folder of folders) {
    const path = join(folder, name);
    try {
      accessSync(path, isFile ? constants.R_OK : constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

/** Starts every reason that `requires` gives, so that the end of the run can gather them. */
export const missingPrefix = "needs Debian's package";

/** For a test's `skip`: false when all the programs are there, otherwise the reason. Throws instead with CI=true. */
export function requires(...programs: readonly Program[]): string | false {
  const missing = programs.filter((program) => findProgram(program) === null).map((program) => packages[program]);
  if (missing.length === 0) return false;
  const reason = `${missingPrefix} ${[...new Set(missing)].join(", ")}`;
  if (process.env["CI"] === "true") throw new Error(`This ${reason}, and with CI=true no test is left out`);
  return reason;
}
