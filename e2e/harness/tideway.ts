/**
 * A whole Tideway as a child process, as a user would run it: the command line, a configuration, a data directory of its
 * own. Owns the process and its temporary folder; both are gone after `end`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const repository = fileURLToPath(new URL("../../", import.meta.url));
const command = join(repository, "packages/tideway/bin/tideway.mjs");
const startLimitMs = 60_000;

export interface Addresses {
  readonly listeners: readonly { readonly host: string; readonly port: number }[];
  readonly sites: readonly string[];
  readonly names: string | null;
  readonly console: { readonly address: string; readonly tokenFile: string } | null;
}

export interface StatusInstance {
  readonly id: string;
  readonly state: string;
  readonly pid?: number;
  readonly restarts?: number;
}

export interface Status {
  readonly services: readonly { readonly name: string; readonly instances: readonly StatusInstance[] }[];
  readonly realtime: readonly {
    readonly name: string;
    readonly connections: number;
    readonly sockets: number;
    /** Processes of the application that have joined. */
    readonly servers: readonly { readonly instance: string }[];
  }[];
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A temporary folder that `end` removes. */
export function temporaryFolder(name: string): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), `tideway-${name}-`));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Runs the command line to its end. */
export async function tideway(
  arguments_: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<CommandResult> {
  const child = spawn(process.execPath, [command, ...arguments_], {
    cwd: options.cwd ?? repository,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

export class RunningTideway {
  readonly process: ChildProcess;
  readonly addresses: Addresses;
  readonly configuration: string;
  /** Everything that it logged so far. */
  readonly log: string[];

  private constructor(process: ChildProcess, addresses: Addresses, configuration: string, log: string[]) {
    this.process = process;
    this.addresses = addresses;
    this.configuration = configuration;
    this.log = log;
  }

  /**
   * Starts `configuration` (a file) and waits until it is ready. Fails with its log when it ends before that. `under`
   * is a program that runs it, with its arguments: strace, or unshare.
   */
  static async start(
    configuration: string,
    env: Record<string, string> = {},
    under: readonly string[] = [],
  ): Promise<RunningTideway> {
    const [program, ...rest] = [...under, process.execPath, command, "start", "--json", configuration];
    const child = spawn(program!, rest, {
      cwd: repository,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const log: string[] = [];
    createInterface({ input: child.stderr }).on("line", (line) => log.push(line));
    const lines = createInterface({ input: child.stdout });
    const limit = AbortSignal.timeout(startLimitMs);
    const first = await Promise.race([
      once(lines, "line", { signal: limit }).then(([line]) => line as string),
      once(child, "close").then(([code]) => {
        throw new Error(`tideway ended with ${code} before it was ready:\n${log.join("\n")}`);
      }),
    ]);
    return new RunningTideway(child, JSON.parse(first) as Addresses, configuration, log);
  }

  /** Base URL of the first listener. */
  get url(): string {
    const { host, port } = this.addresses.listeners[0]!;
    return `http://${host}:${port}`;
  }

  async status(): Promise<Status> {
    const { code, stdout, stderr } = await tideway(["status", "--json", this.configuration], { env: this.#env });
    if (code !== 0) throw new Error(`tideway status failed: ${stderr}`);
    return JSON.parse(stdout) as Status;
  }

  #env: Record<string, string> = {};
  withEnv(env: Record<string, string>): this {
    this.#env = env;
    return this;
  }

  /** SIGTERM, and waits for the end. Returns the exit code. */
  async stop(): Promise<number | null> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return this.process.exitCode;
    this.process.kill("SIGTERM");
    const [code] = (await once(this.process, "close")) as [number | null];
    return code;
  }

  /** SIGKILL, as a power cut would. The applications are not told. */
  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill("SIGKILL");
    await once(this.process, "exit");
  }
}

/** A folder with a configuration of the test's own: `source` is the object literal that `defineConfig` is given. */
export function writeConfiguration(folder: string, source: string): string {
  const file = join(folder, "tideway.config.ts");
  writeFileSync(file, `export default ${source};\n`);
  return file;
}

/** Whether a process still runs; a zombie that nobody has waited for does not count. */
export function isAlive(pid: number): boolean {
  const stat = `/proc/${pid}/stat`;
  if (!existsSync(stat)) return false;
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(stat, "latin1"));
  } catch {
    return false;
  }
}

/** Asks again and again until `probe` gives something; fails after `limitMs` with what was awaited. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null | false | undefined>,
  limitMs = 10_000,
): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    const value = await probe();
    if (value !== null && value !== false && value !== undefined) return value;
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms for ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}
