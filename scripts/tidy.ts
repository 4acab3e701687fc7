/**
 * `node scripts/tidy.ts [--shrink]`: the rules of the house that no other tool knows (`scripts/tidy/`), over every file that
 * git knows or would take. Prints one line per finding; exit code 1 when there is one. `--shrink` lowers the size ratchet.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describeRepository, type File } from "./tidy/repository.ts";
import { check } from "./tidy/rules.ts";
import { type Ratchet, shrink } from "./tidy/sizes.ts";

const root = resolve(import.meta.dirname, "..");
const ratchetFile = join(root, "scripts/tidy/ratchet.json");
const binary = /\.(?:png|jpe?g|webp|avif|ico|gif|woff2?|db)$/;

function readFiles(): File[] {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  return [...new Set(listed.split("\0"))]
    .filter(
      (path) => path !== "" && !binary.test(path) && statSync(join(root, path), { throwIfNoEntry: false })?.isFile(),
    )
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

const repository = describeRepository(readFiles());
const ratchet = JSON.parse(readFileSync(ratchetFile, "utf8")) as Ratchet;
if (process.argv.includes("--shrink")) {
  writeFileSync(ratchetFile, `${JSON.stringify(shrink(repository, ratchet), null, 2)}\n`);
} else {
  const findings = check(repository, ratchet);
  for (const { rule, path, line, message } of findings) {
    process.stdout.write(`${path}${line === undefined ? "" : `:${line}`} [${rule}] ${message}\n`);
  }
  if (findings.length > 0) {
    process.stdout.write(`${findings.length} finding${findings.length === 1 ? "" : "s"}\n`);
    process.exitCode = 1;
  }
}
