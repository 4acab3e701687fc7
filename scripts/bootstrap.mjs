/**
 * Runs before every npm command of this repository: installs what the lock file names, and builds the page of Commons,
 * each only when it is out of date. Plain JavaScript on Node 20 and up, with nothing but Node's own modules, since
 * nothing else is there yet. Idle it costs some milliseconds; two at once wait for one another.
 *
 *   node scripts/bootstrap.mjs [--no-build | --force-build]
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { acquire } from "./lock.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const modules = join(root, "node_modules");
const bin = join(modules, ".bin");
const lockFile = join(root, "package-lock.json");
const application = join(root, "apps", "commons");
const page = join(application, "web");
const built = join(page, "dist", "index.html");
const builtStamp = join(modules, ".cache", "tideway-page");
const nodeMajorMin = 20;

/** A failure that is told without a stack: it is the user's to mend, and says how. */
class Refusal extends Error {}

function say(text) {
  process.stderr.write(`${text}\n`);
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return null;
  }
}

/**
 * npm writes `node_modules/.package-lock.json` when an install is complete, and removes it before it changes anything;
 * so an install that was cut off has none. It is compared entry by entry, because modification times lie after a checkout.
 */
function installIsCurrent() {
  const wanted = readJson(lockFile)?.packages;
  if (!wanted)
    throw new Refusal("package-lock.json is missing or cannot be read.\nRestore it: git checkout package-lock.json");
  const present = readJson(join(modules, ".package-lock.json"))?.packages;
  if (!present) return false;
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.startsWith("node_modules/")) continue;
    const found = present[path];
    if (found === undefined) {
      // Binaries for other platforms are in the lock file, and never installed here.
      if (entry.optional || entry.devOptional) continue;
      return false;
    }
    if (found.version !== entry.version || found.integrity !== entry.integrity || found.resolved !== entry.resolved) {
      return false;
    }
  }
  return true;
}

/** The environment without `node_modules/.bin`: npm itself must not run on the Node that it is about to replace. */
function installEnvironment() {
  const path = (process.env.PATH ?? "")
    .split(delimiter)
    .filter((entry) => !entry.endsWith(join("node_modules", ".bin")));
  return { ...process.env, PATH: path.join(delimiter) };
}

/** Runs a program to its end, passing signals on to it. Resolves to its exit code; a signal counts as 128 + its number. */
function run(command, args, options) {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { stdio: ["ignore", 2, 2], ...options });
    const forward = (signal) => child.kill(signal);
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
    for (const signal of signals) process.on(signal, forward);
    child.once("error", fail);
    child.once("exit", (code, signal) => {
      for (const each of signals) process.off(each, forward);
      done(code ?? 128 + (constants.signals[signal] ?? 0));
    });
  });
}

async function install() {
  const environment = installEnvironment();
  const script = process.env.npm_execpath;
  const args = ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"];
  const started = Date.now();
  say("Installing what package-lock.json names (npm ci) …");
  const code = script?.endsWith("npm-cli.js")
    ? await run(process.env.npm_node_execpath ?? process.execPath, [script, ...args], { cwd: root, env: environment })
    : await run("npm", args, { cwd: root, env: environment });
  if (code > 128) process.exit(code);
  if (code !== 0) {
    throw new Refusal(
      `npm ci failed with exit code ${code}; its own message stands above.\n` +
        "Check that the package registry can be reached (npm ping), then run the same command again.",
    );
  }
  say(`Installed in ${((Date.now() - started) / 1000).toFixed(1)} s.`);
}

/** The Node that everything else runs on, as pinned in package.json. */
function checkNode() {
  const pinned = readJson(join(root, "package.json"))?.devDependencies?.node;
  const node = join(bin, "node");
  let version = null;
  if (existsSync(node)) {
    version =
      realpathSync(node) === realpathSync(process.execPath)
        ? process.version
        : spawnSync(node, ["--version"], { encoding: "utf8", timeout: 10_000 }).stdout?.trim();
  }
  if (version === `v${pinned}`) return;
  throw new Refusal(
    [
      `Tideway runs on Node ${pinned}, which npm installs into node_modules/.bin/node; ` +
        (version ? `${version} is there.` : existsSync(node) ? "the one there does not run." : "it is not there."),
      "Usually npm was told not to run install scripts (ignore-scripts), and the package `node` has one. Either",
      "  npm rebuild node --ignore-scripts=false --foreground-scripts",
      "or remove node_modules and run the same command again with npm_config_ignore_scripts=false.",
    ].join("\n"),
  );
}

function* filesUnder(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name === "dist" || entry.name === "node_modules") continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesUnder(path);
    else if (entry.isFile()) yield path;
  }
}

/** One hash over all that the page is made of: its sources, what they share with the server, and the dependencies. */
function pageHash() {
  const shared = readdirSync(application).filter((name) => /\.(ts|json)$/.test(name));
  const hash = createHash("sha256");
  for (const file of [lockFile, ...shared.sort().map((name) => join(application, name)), ...filesUnder(page)]) {
    if (statSync(file).isFile()) hash.update(relative(root, file)).update("\0").update(readFileSync(file)).update("\0");
  }
  return hash.digest("hex");
}

function pageIsCurrent(hash) {
  return existsSync(built) && existsSync(builtStamp) && readFileSync(builtStamp, "utf8") === hash;
}

async function build(hash) {
  const folder = existsSync(join(page, "vite.config.ts")) ? page : application;
  say("Building the page of Commons (vite build) …");
  rmSync(builtStamp, { force: true });
  const code = await run(join(bin, "node"), [join(modules, "vite", "bin", "vite.js"), "build", "--logLevel", "warn"], {
    cwd: folder,
    env: { ...process.env, NODE_ENV: "production" },
  });
  if (code > 128) process.exit(code);
  if (code !== 0) throw new Refusal(`vite build failed with exit code ${code}; its own message stands above.`);
  mkdirSync(dirname(builtStamp), { recursive: true });
  writeFileSync(builtStamp, hash);
}

async function main(args) {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < nodeMajorMin) {
    throw new Refusal(
      `This is Node ${process.versions.node}; installing Tideway takes Node ${nodeMajorMin} or newer (it then brings its own).\n` +
        "Install a newer Node, for example Debian's package nodejs or the one from nodejs.org.",
    );
  }
  const unknown = args.find((arg) => arg !== "--no-build" && arg !== "--force-build");
  if (unknown) throw new Refusal(`Unknown option ${unknown}. There are --no-build and --force-build.`);
  const wantsPage = !args.includes("--no-build") && existsSync(page);
  const force = args.includes("--force-build");
  const isIdle = () => installIsCurrent() && (!wantsPage || (!force && pageIsCurrent(pageHash())));

  if (!isIdle()) {
    const release = await acquire(join(root, ".bootstrap.lock"), () =>
      say("Another command is installing or building; waiting for it …"),
    );
    process.once("exit", release);
    if (!installIsCurrent()) await install();
    checkNode();
    const hash = wantsPage ? pageHash() : null;
    if (hash !== null && (force || !pageIsCurrent(hash))) await build(hash);
    release();
  }
  checkNode();
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  say(error.message);
  process.exit(1);
}
