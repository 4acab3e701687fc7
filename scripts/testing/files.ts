/** Which test files there are, and which of them test the whole system and so must have the machine to themselves. */
import { globSync } from "node:fs";
import { relative, resolve, sep } from "node:path";

const roots = ["packages", "apps", "bench", "examples", "e2e", "scripts"];
const wholeSystem = ["bench", "examples", "e2e"];
/** Of those, what measures nothing and waits for events alone: many small systems, each with a port and a folder of its own. */
const besideOthers = ["e2e/gateway"];

export interface TestFiles {
  /** May run beside one another. */
  readonly unit: readonly string[];
  /** Start servers, browsers and processes: one after another. */
  readonly system: readonly string[];
}

/** Test files below `root` (relative paths), narrowed to those that are, or lie below, one of `filters`. */
export function findTests(root: string, filters: readonly string[]): TestFiles {
  const wanted = filters.map((filter) => relative(root, resolve(root, filter)));
  const files = roots
    .flatMap((folder) =>
      globSync(`${folder}/**/*.test.ts`, {
        cwd: root,
        exclude: (name) => /(^|\/)(node_modules|dist)$/.test(name),
      }),
    )
    .map((file) => file.split(sep).join("/"))
    .filter((file) => wanted.length === 0 || wanted.some((path) => matches(file, path)))
    .sort();
  const isBelow = (file: string, folders: readonly string[]) => folders.some((folder) => file.startsWith(`${folder}/`));
  const isSystem = (file: string) => isBelow(file, wholeSystem) && !isBelow(file, besideOthers);
  return { unit: files.filter((file) => !isSystem(file)), system: files.filter(isSystem) };
}

function matches(file: string, wanted: string): boolean {
  return wanted === "" || file === wanted || file.startsWith(`${wanted}/`);
}
