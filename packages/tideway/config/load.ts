/**
 * Reads `tideway.config.ts` with plain `import()` and turns it into a plan, or into errors that say where to look.
 * Owns finding and loading the file; what its values mean is `plan.ts`'s.
 */
import { existsSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { OperatorError } from "@tideway/base";
import { makePlan, type Plan } from "./plan.ts";

/** A configuration may await what it needs; one that waits for ever is told apart from a slow one here. */
const loadLimitMs = 15_000;
const defaultNames = ["tideway.config.ts", "tideway.config.js", "tideway.config.mjs"];

/** All faults of one configuration. Each is printed on its own; nothing was changed. */
export class ConfigurationFault extends Error {
  override name = "ConfigurationFault";
  readonly faults: readonly OperatorError[];

  constructor(faults: readonly OperatorError[]) {
    super(faults.map((fault) => fault.message).join("\n"));
    this.faults = faults;
  }
}

/** The configuration's absolute path: `given` (a file, or a folder that holds one), or the one in `directory`. */
export function findConfiguration(given: string | undefined, directory: string): string {
  const target = resolve(directory, given ?? ".");
  if (existsSync(target) && statSync(target).isFile()) return target;
  for (const name of defaultNames) {
    const file = join(target, name);
    if (existsSync(file)) return file;
  }
  throw new ConfigurationFault([
    new OperatorError("CONFIG_MISSING", {
      where: given === undefined ? join(target, defaultNames[0]!) : target,
      seen: "no such file",
      hint: "Name the file (tideway start path/to/tideway.config.ts), or run where a tideway.config.ts lies.",
    }),
  ]);
}

/** Loads and checks a configuration. Throws a {@link ConfigurationFault} with every fault that was found. */
export async function loadPlan(file: string, environment: Readonly<Record<string, string | undefined>>): Promise<Plan> {
  const exported = await importConfiguration(file);
  const result = makePlan(file, exported, environment);
  if (result.ok) return result.plan;
  const shown = relative(process.cwd(), file) || file;
  throw new ConfigurationFault(
    result.issues.map(
      (issue) =>
        new OperatorError("CONFIG_INVALID", {
          where: `${shown.startsWith("..") ? file : shown}  ${issue.path}`,
          seen: issue.seen,
          allowed: issue.allowed,
          hint: issue.hint,
        }),
    ),
  );
}

async function importConfiguration(file: string): Promise<unknown> {
  // The query makes a changed file a new module: import() remembers the old one for ever.
  const url = `${pathToFileURL(file).href}?changed=${statSync(file).mtimeMs}`;
  let module: { default?: unknown };
  try {
    module = (await withinLimit(import(url))) as { default?: unknown };
  } catch (error) {
    throw new ConfigurationFault([
      new OperatorError("CONFIG_THREW", {
        where: placeOf(error, file),
        seen: error instanceof Error ? `${error.name}: ${error.message.split("\n")[0]}` : String(error),
        hint: `Run "node ${relative(process.cwd(), file)}" to see the whole error.`,
        cause: error,
      }),
    ]);
  }
  if (module.default === undefined) {
    throw new ConfigurationFault([
      new OperatorError("CONFIG_INVALID", {
        where: file,
        seen: "no default export",
        allowed: "export default defineConfig({ … })",
        hint: 'Begin the file with: import { defineConfig } from "tideway"',
      }),
    ]);
  }
  return module.default;
}

/** A timer that holds the process: an import that nothing will ever settle would end it without a word. */
async function withinLimit<T>(loading: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, late) => {
    const error = new Error(`still not loaded after ${loadLimitMs / 1000} s; something in it is awaited in vain`);
    timer = setTimeout(() => late(error), loadLimitMs);
  });
  try {
    return await Promise.race([loading, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** File and line of the first stack frame inside the configuration; the file alone when there is none. */
function placeOf(error: unknown, file: string): string {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const escaped = file.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const match = new RegExp(`${escaped}(?:\\?[^:\\s)]*)?:(\\d+)`).exec(stack);
  return match === null ? file : `${file}:${match[1]}`;
}
