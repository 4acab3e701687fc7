/** Files that nobody imports or names. A file that only tests use counts as dead, unless it says that it is for tests. */
import { dirname, join, normalize } from "node:path/posix";
import { type Finding, isTest, type Repository } from "./repository.ts";
import { roomOf } from "./rooms.ts";

const named = /[\w@./-]+\.(?:tsx?|mjs|js|css|html|svg|json)\b/g;

/** What starts by itself: front doors, tests, configurations of tools and of Tideway, type declarations. */
function isEntry(path: string): boolean {
  return (
    /\.test\.tsx?$|\.config\.[cm]?[jt]s$|\.d\.ts$/.test(path) || (roomOf(path) !== null && path.endsWith("/index.ts"))
  );
}

export function deadFiles(repository: Repository): Finding[] {
  const usedBy = new Map<string, { running: boolean }>();
  const use = (from: string, path: string): void => {
    if (from === path || !repository.paths.has(path)) return;
    const running = !isTest(from) || (usedBy.get(path)?.running ?? false);
    usedBy.set(path, { running });
  };
  for (const source of repository.sources) {
    for (const imported of source.imports) {
      const target = repository.resolve(source.path, imported);
      if (target.kind === "file") use(source.path, target.path);
    }
  }
  for (const { path, text } of namesIn(repository)) {
    const home = repository.packageOf(path)?.folder ?? "";
    for (const [token] of text.matchAll(named)) {
      for (const base of [dirname(path), home, ""]) use(path, normalize(join(base, token)).replace(/^\//, ""));
    }
  }
  return repository.sources
    .filter(({ path }) => !isEntry(path))
    .flatMap(({ path }): Finding[] => {
      const uses = usedBy.get(path);
      if (uses === undefined) return [{ rule: "dead", path, message: "nobody imports it" }];
      if (uses.running || isTest(path) || roomOf(path) === null) return [];
      return [
        {
          rule: "dead",
          path,
          message: "only tests import it: remove it, or call it testing.ts or put it under testing/",
        },
      ];
    });
}

/** Texts in which a file can be named other than by an import: strings of sources, and everything in JSON, HTML, CSS and shell. */
function* namesIn(repository: Repository): Generator<{ path: string; text: string }> {
  for (const source of repository.sources) yield { path: source.path, text: source.strings.join("\n") };
  for (const { path, text } of repository.files) {
    const isLock = path === "package-lock.json";
    if (!isLock && /(?:\.(?:json|html|css|sh|yml|yaml)|^\.ci\/[\w-]+)$/.test(path)) yield { path, text };
  }
}
