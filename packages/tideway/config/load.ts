/**
 * Reads `tideway.config.ts` with plain `import()` and turns it into a plan, or into errors that say where to look.
 * Owns finding and loading the file; what its values mean is `plan.ts`'s.
 */
import { existsSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
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

type Environment = Readonly<Record<string, string | undefined>>;

/** Loads and checks a configuration. Throws a {@link ConfigurationFault} with every fault that was found. */
export async function loadPlan(file: string, environment: Environment): Promise<Plan> {
  return planOf(file, await importConfiguration(file, () => importHere(file)), environment);
}

/**
 * The same anew, for a process that has loaded it before: `import()` remembers a module for ever, and so all that it imports.
 * A thread of its own remembers nothing, and what it loaded goes with it.
 */
export async function reloadPlan(file: string, environment: Environment): Promise<Plan> {
  if (!existsSync(file)) findConfiguration(file, process.cwd());
  return planOf(file, await importConfiguration(file, () => importInThread(file)), environment);
}

function planOf(file: string, exported: unknown, environment: Environment): Plan {
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

/** What the module exports by default. `load` gives its value, or `undefined` when it has none. */
async function importConfiguration(file: string, load: () => Promise<unknown>): Promise<unknown> {
  let exported: unknown;
  try {
    exported = await withinLimit(load());
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
  if (exported === undefined) {
    throw new ConfigurationFault([
      new OperatorError("CONFIG_INVALID", {
        where: file,
        seen: "no default export",
        allowed: "export default defineConfig({ … })",
        hint: 'Begin the file with: import { defineConfig } from "tideway"',
      }),
    ]);
  }
  return exported;
}

async function importHere(file: string): Promise<unknown> {
  const module = (await import(pathToFileURL(file).href)) as { default?: unknown };
  return module.default;
}

/** Functions and rings cannot leave a thread; no key of a configuration may hold one, nor null, which goes in their place. */
const threadSource = `
  const { parentPort, workerData } = require("node:worker_threads");
  const plain = (value, seen) => {
    if (typeof value === "function" || typeof value === "symbol") return null;
    if (typeof value !== "object" || value === null) return value;
    if (seen.includes(value)) return null;
    const inner = [...seen, value];
    if (Array.isArray(value)) return value.map((each) => plain(each, inner));
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each, inner)]));
  };
  import(workerData).then((module) => parentPort.postMessage({ value: plain(module.default, []) }));
`;

async function importInThread(file: string): Promise<unknown> {
  const thread = new Worker(threadSource, { eval: true, workerData: pathToFileURL(file).href });
  try {
    return await new Promise((done, failed) => {
      thread.on("message", ({ value }: { value: unknown }) => done(value));
      thread.on("error", failed);
      thread.on("exit", (code) => failed(new Error(`it ended its thread with ${code} before it was loaded`)));
    });
  } finally {
    await thread.terminate();
  }
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
