/**
 * The repository as the rules see it: files, packages, and what an import leads to. Built from a plain list of files, so
 * that a test can feed it any.
 */
import { dirname, join, normalize } from "node:path/posix";
import { type Import, parseSource, type Source } from "./source.ts";

export interface File {
  /** From the repository's root, with `/`. */
  readonly path: string;
  readonly text: string;
}

export interface Finding {
  readonly rule: string;
  readonly path: string;
  readonly line?: number;
  /** What is wrong, and what to do. */
  readonly message: string;
}

export interface Manifest {
  readonly name?: string;
  readonly exports?: Readonly<Record<string, string>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

export interface Package {
  readonly name: string;
  /** Its folder; empty for the root. */
  readonly folder: string;
  readonly manifest: Manifest;
}

export type Resolved =
  | { readonly kind: "file"; readonly path: string }
  /** A workspace's package, by a path that it does not export. */
  | { readonly kind: "closed"; readonly package: Package }
  | { readonly kind: "external"; readonly name: string }
  | { readonly kind: "builtin"; readonly name: string }
  | { readonly kind: "missing" };

export interface Repository {
  readonly files: readonly File[];
  readonly paths: ReadonlySet<string>;
  /** TypeScript and JavaScript. */
  readonly sources: readonly Source[];
  readonly packages: readonly Package[];
  packageOf(path: string): Package | undefined;
  resolve(from: string, imported: Import): Resolved;
}

export function describeRepository(files: readonly File[]): Repository {
  const paths = new Set(files.map((file) => file.path));
  const packages = files
    .filter((file) => /(^|\/)package\.json$/.test(file.path))
    .map((file): Package => {
      const manifest = JSON.parse(file.text) as Manifest;
      const folder = file.path === "package.json" ? "" : dirname(file.path);
      return { name: manifest.name ?? folder, folder, manifest };
    });
  const byName = new Map(packages.map((each) => [each.name, each]));
  const longestFirst = [...packages].sort((a, b) => b.folder.length - a.folder.length);

  const packageOf = (path: string): Package | undefined =>
    longestFirst.find((each) => each.folder === "" || path.startsWith(`${each.folder}/`));

  function resolve(from: string, { specifier }: Import): Resolved {
    if (specifier.startsWith("node:")) return { kind: "builtin", name: specifier };
    if (specifier.startsWith(".")) {
      const path = normalize(join(dirname(from), specifier.replace(/[?#].*$/, "")));
      return paths.has(path) ? { kind: "file", path } : { kind: "missing" };
    }
    const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
    const target = byName.get(name);
    if (target === undefined) return { kind: "external", name };
    const exported = target.manifest.exports?.[`.${specifier.slice(name.length)}`];
    if (exported === undefined) return { kind: "closed", package: target };
    const path = normalize(join(target.folder, exported));
    return paths.has(path) ? { kind: "file", path } : { kind: "missing" };
  }

  const sources = files.filter((file) => isSource(file.path)).map((file) => parseSource(file.path, file.text));
  return { files, paths, sources, packages, packageOf, resolve };
}

function isSource(path: string): boolean {
  return /\.(?:ts|tsx|mts|js|mjs|jsx)$/.test(path);
}

/** Tests, and what only tests run: fakes, harnesses, fixtures. */
export function isTest(path: string): boolean {
  return /\.test\.tsx?$|(^|\/)(?:e2e|testing|fixtures|harness)\/|(^|\/)(?:[\w-]+\.)?testing\.ts$/.test(path);
}
