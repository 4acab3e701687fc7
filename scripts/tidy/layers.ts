/** Import direction between tiers and rooms, front doors, import cycles. */
import type { Finding, Repository } from "./repository.ts";
import { isTest } from "./repository.ts";
import { isFrontDoor, type Room, roomOf, siblings, tiers, wiringOnly } from "./rooms.ts";
import type { Import, Source } from "./source.ts";

/** What tests of packages import of the scripts: how they learn that a program is missing, and a port for one that is there. */
const openToTests: readonly string[] = ["scripts/requires.ts", "scripts/free-port.ts"];

export function importDirection(repository: Repository): Finding[] {
  const findings: Finding[] = [];
  for (const source of repository.sources) {
    for (const imported of source.imports) {
      const message = faultOf(repository, source, imported);
      if (message !== null) findings.push({ rule: "imports", path: source.path, line: imported.line, message });
    }
  }
  return findings;
}

function faultOf(repository: Repository, source: Source, imported: Import): string | null {
  const target = repository.resolve(source.path, imported);
  const { specifier } = imported;
  if (target.kind === "closed")
    return `${specifier} is not exported by ${target.package.name}: use a front door that its package.json names`;
  if (target.kind === "missing")
    return /\.(?:css|json|svg|html)$/.test(specifier) ? null : `${specifier} leads nowhere`;
  if (target.kind !== "file") return null;
  const isRelative = specifier.startsWith(".");
  if (openToTests.includes(target.path) && isTest(source.path) && !isRelative) return null;
  const home = repository.packageOf(source.path);
  const owner = repository.packageOf(target.path);
  if (isRelative && home !== owner) return `${specifier} leaves the package: import ${owner?.name} by name`;
  if (
    !isRelative &&
    home === owner &&
    home?.name !== "tideway" &&
    roomOf(source.path)?.name === roomOf(target.path)?.name
  ) {
    return `${specifier} is the room's own front door: import the file itself`;
  }
  const from = roomOf(source.path);
  const to = roomOf(target.path);
  if (from === null || to === null) return faultOutside(source.path, target.path, to);
  return faultBetween(from, to, source.path, target.path, specifier);
}

/** Applications, benchmarks, examples and e2e stand above all packages; scripts stand apart from them. */
function faultOutside(from: string, path: string, to: Room | null): string | null {
  if (roomOf(from) !== null) return `a package must not import ${path}`;
  if (from.startsWith("scripts/") && to !== null)
    return `scripts stand apart from the packages, but this imports ${to.name}`;
  const side = (file: string): string | undefined => /^apps\/[^/]+\/(server|web)\//.exec(file)?.[1];
  if (side(from) !== undefined && side(path) !== undefined && side(from) !== side(path)) {
    return `${side(from)} and ${side(path)} share only the files directly in the application's folder`;
  }
  return null;
}

function faultBetween(from: Room, to: Room, path: string, target: string, specifier: string): string | null {
  if (from.name === to.name) return null;
  const rise = tiers.indexOf(to.tier) - tiers.indexOf(from.tier);
  if (rise > 0) return `${from.name} is below ${to.name}: imports point down the tiers`;
  const isFakeForTest = isTest(path) && target.endsWith("/testing.ts");
  if (specifier.startsWith(".") && !isFrontDoor(target) && !isFakeForTest) {
    return `${specifier} reaches past the front door of ${to.name}: import its index.ts`;
  }
  if (isTest(path)) return null;
  if (target.endsWith("/testing.ts")) return `${specifier} is for tests`;
  const wirers = wiringOnly[to.name];
  if (wirers !== undefined && !wirers.includes(from.tier))
    return `${from.name} is handed what ${to.name} makes; only tests and those who wire import it`;
  if (rise === 0 && !siblings[from.name]?.includes(to.name)) {
    return `${from.name} must not know its sibling ${to.name}: declare the interface that it needs`;
  }
  return null;
}

/** Files that load one another in a ring. Types are erased: two halves of one noun may name each other's shapes. */
export function importCycles(repository: Repository): Finding[] {
  const edges = new Map<string, string[]>();
  for (const source of repository.sources) {
    const loaded = source.imports.filter((imported) => !imported.typeOnly);
    const targets = loaded.map((imported) => repository.resolve(source.path, imported));
    edges.set(source.path, [...new Set(targets.flatMap((target) => (target.kind === "file" ? [target.path] : [])))]);
  }
  const state = new Map<string, "open" | "done">();
  const trail: string[] = [];
  const findings: Finding[] = [];
  const visit = (path: string): void => {
    state.set(path, "open");
    trail.push(path);
    for (const next of edges.get(path) ?? []) {
      if (state.get(next) === "open") {
        const ring = [...trail.slice(trail.indexOf(next)), next];
        findings.push({ rule: "cycles", path: next, message: `imports itself: ${ring.join(" → ")}` });
      } else if (!state.has(next)) visit(next);
    }
    trail.pop();
    state.set(path, "done");
  };
  for (const path of edges.keys()) if (!state.has(path)) visit(path);
  return findings;
}
