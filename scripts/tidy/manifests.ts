/** Every room has a front door and a README; every dependency is pinned, and every import declared where it is used. */
import { type Finding, isTest, type Manifest, type Package, type Repository } from "./repository.ts";
import { roomOf } from "./rooms.ts";

/** Rooms whose files are started, never imported, have no front door. */
const withoutFrontDoor: readonly string[] = ["tideway/bin"];

export function roomsComplete(repository: Repository): Finding[] {
  const rooms = new Map<string, string>();
  for (const { path } of repository.sources) {
    const room = roomOf(path);
    if (room !== null && !room.name.endsWith("/.") && !withoutFrontDoor.includes(room.name))
      rooms.set(room.name, room.folder);
  }
  return [...rooms].flatMap(([name, folder]) =>
    ["index.ts", "README.md"]
      .filter((file) => !repository.paths.has(`${folder}/${file}`))
      .map((file) => ({ rule: "rooms", path: folder, message: `the room ${name} has no ${file}` })),
  );
}

const kinds = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"] as const;
const pinned = /^\d+\.\d+\.\d+(?:-[\w.]+)?$/;

export function pinnedDependencies(repository: Repository): Finding[] {
  const findings: Finding[] = [];
  for (const { folder, manifest } of repository.packages) {
    for (const kind of kinds) {
      for (const [name, version] of Object.entries(manifest[kind] ?? {})) {
        if (pinned.test(version)) continue;
        const path = folder === "" ? "package.json" : `${folder}/package.json`;
        findings.push({ rule: "pinned", path, message: `${name} is "${version}": pin it to one version` });
      }
    }
  }
  return findings;
}

function names(manifest: Manifest, ...wanted: readonly (typeof kinds)[number][]): string[] {
  return wanted.flatMap((kind) => Object.keys(manifest[kind] ?? {}));
}

export function declaredImports(repository: Repository): Finding[] {
  const findings: Finding[] = [];
  const shared = names(repository.packages.find((each) => each.folder === "")?.manifest ?? {}, "devDependencies");
  const used = new Map<Package, Set<string>>();
  for (const source of repository.sources) {
    const home = repository.packageOf(source.path);
    if (home === undefined) continue;
    const isDevelopment = isTest(source.path) || /\.config\.[cm]?[jt]s$/.test(source.path);
    const declared = [
      ...names(home.manifest, "dependencies", "optionalDependencies", "peerDependencies"),
      ...(isDevelopment ? [...names(home.manifest, "devDependencies"), ...shared] : []),
    ];
    const mentions = used.get(home) ?? new Set();
    used.set(home, mentions);
    for (const text of source.strings) mentions.add(text.split("/", text.startsWith("@") ? 2 : 1).join("/"));
    for (const imported of source.imports) {
      const target = repository.resolve(source.path, imported);
      if (target.kind === "builtin" || imported.specifier.startsWith(".")) continue;
      const name = imported.specifier.split("/", imported.specifier.startsWith("@") ? 2 : 1).join("/");
      mentions.add(name);
      if (name === home.name || declared.includes(name)) continue;
      const where = home.folder === "" ? "package.json" : `${home.folder}/package.json`;
      const kind = isDevelopment ? "devDependencies" : "dependencies";
      findings.push({
        rule: "declared",
        path: source.path,
        line: imported.line,
        message: `${name} is not among the ${kind} of ${where}`,
      });
    }
  }
  return [...findings, ...unusedDependencies(repository, used)];
}

/** Declared, but named nowhere in the package. The root's are tools. */
function unusedDependencies(repository: Repository, used: ReadonlyMap<Package, ReadonlySet<string>>): Finding[] {
  return repository.packages.flatMap((each) => {
    if (each.folder === "") return [];
    return names(each.manifest, "dependencies", "devDependencies", "optionalDependencies")
      .filter((name) => !name.startsWith("@types/") && used.get(each)?.has(name) !== true)
      .map((name) => ({
        rule: "declared",
        path: `${each.folder}/package.json`,
        message: `${name} is declared, but nothing imports it`,
      }));
  });
}
