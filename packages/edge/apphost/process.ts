/**
 * One run of a service's command: a process that leads a group of its own, its output in lines, its end. Knows nothing of
 * readiness, restarts or other instances.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { delimiter, dirname } from "node:path";
import type { Clock } from "@tideway/base";
import { parseCommand } from "./command.ts";
import { groupGone, signalGroup } from "./groups.ts";
import { LineSplitter } from "./lines.ts";

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The command could not be run at all: not found, not allowed. */
  readonly error: NodeJS.ErrnoException | null;
}

export interface ProcessOptions {
  readonly command: string;
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  onLine(stream: "stdout" | "stderr", line: string): void;
  /** Once: the command ended or could not be run. What it started may still live; `end` sees to that. */
  onExit(exit: ProcessExit): void;
}

/** How long what is left of a group may take to vanish after SIGKILL: the kernel's work, not the application's. */
const VANISH_MS = 1_000;

export class AppProcess {
  readonly pid: number | undefined;
  /** Resolves when the command itself has ended. */
  readonly exited: Promise<void>;
  /** Resolves when its output, too, was read to the end. */
  readonly drained: Promise<void>;
  readonly #clock: Clock;
  #over = false;

  constructor(options: ProcessOptions) {
    const { file, args } = parseCommand(options.command);
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: withOwnNode(options.env),
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#clock = options.clock;
    this.pid = child.pid;
    readLines(child, options.onLine);
    this.drained = new Promise((resolve) => {
      child.once("close", () => resolve());
      child.once("error", () => resolve());
    });
    this.exited = new Promise((resolve) => {
      const finish = (exit: ProcessExit): void => {
        if (this.#over) return;
        this.#over = true;
        options.onExit(exit);
        resolve();
      };
      child.once("exit", (code, signal) => finish({ code, signal, error: null }));
      child.once("error", (error) => finish({ code: null, signal: null, error }));
    });
  }

  /** Asks with SIGTERM, insists with SIGKILL, and resolves when the whole group is gone. */
  async end(killTimeoutMs: number): Promise<void> {
    if (this.pid === undefined) return;
    if (!this.#over) {
      signalGroup(this.pid, "SIGTERM");
      const kill = this.#clock.after(killTimeoutMs, () => this.kill());
      await this.exited;
      kill.cancel();
    }
    // The leader is gone; what it started and did not end has had its time too.
    this.kill();
    await groupGone(this.pid, VANISH_MS);
  }

  kill(): void {
    if (this.pid !== undefined) signalGroup(this.pid, "SIGKILL");
  }
}

function readLines(child: ChildProcess, onLine: ProcessOptions["onLine"]): void {
  for (const stream of ["stdout", "stderr"] as const) {
    const splitter = new LineSplitter((line) => onLine(stream, line));
    child[stream]!.on("data", (chunk: Buffer) => splitter.write(chunk));
    child[stream]!.on("end", () => splitter.end());
    child[stream]!.on("error", () => {});
  }
}

/** `node` in a command is the Node that runs Tideway: the machine's own may be too old, or missing. */
function withOwnNode(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own = dirname(process.execPath);
  return { ...env, PATH: env.PATH ? `${own}${delimiter}${env.PATH}` : own };
}
