/**
 * `npm run check`: types, lint and format, tidy; all at once. Prints what the failing ones say and one line for each.
 * Exit code 1 when one failed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const bin = join(root, "node_modules", ".bin");
const page = "apps/commons/web/tsconfig.json";

interface Check {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

const checks: Check[] = [
  { name: "types", command: join(bin, "tsc"), args: ["--noEmit", "-p", "tsconfig.json"] },
  ...(existsSync(join(root, page))
    ? [{ name: "types of the page", command: join(bin, "tsc"), args: ["--noEmit", "-p", page] }]
    : []),
  { name: "lint and format", command: join(bin, "biome"), args: ["check", "--error-on-warnings", "."] },
  { name: "tidy", command: process.execPath, args: ["scripts/tidy.ts"] },
];

const running = new Set<ChildProcess>();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    for (const child of running) child.kill(signal);
  });
}

async function runCheck({ name, command, args }: Check): Promise<boolean> {
  const started = performance.now();
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  running.delete(child);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (code === 0) {
    process.stdout.write(`✔ ${name} (${seconds} s)\n`);
    return true;
  }
  process.stdout.write(`\n${output.trimEnd()}\n✖ ${name} (${seconds} s)\n\n`);
  return false;
}

const passed = await Promise.all(checks.map(runCheck));
if (passed.includes(false)) {
  const failed = checks.filter((_, index) => !passed[index]).map((check) => check.name);
  process.stdout.write(`Failed: ${failed.join(", ")}\n`);
  process.exitCode = 1;
}
