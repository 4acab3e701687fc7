/**
 * The processes of a benchmark: each pinned to a core, each ended again, whatever happens. Servers and load run apart, so
 * that neither takes the other's time.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createConnection } from "node:net";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { findProgram } from "@tideway/scripts/requires";

/** Where a process runs: the server's core, the load's, or wherever the system likes. */
export type Core = "server" | "load" | "any";

const startLimitMs = 20_000;
const stopLimitMs = 5_000;
const running = new Set<ChildProcess>();

// Asked, not killed: nginx's master must be able to end its worker.
process.on("exit", () => {
  for (const child of running) child.kill("SIGTERM");
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    setTimeout(() => process.exit(1), stopLimitMs).unref();
    for (const child of running) child.once("close", () => running.size === 0 && process.exit(1)).kill("SIGTERM");
    if (running.size === 0) process.exit(1);
  });
}

/** False when the machine has one core or no taskset: then figures of load and server mix. */
export const canPin = availableParallelism() > 1 && findProgram("taskset") !== null;

/** The command that runs `command` on a core; `taskset` becomes the command, so the process id is the command's own. */
function onCore(core: Core, command: readonly string[]): string[] {
  if (core === "any" || !canPin) return [...command];
  return [findProgram("taskset")!, "-c", core === "server" ? "0" : "1", ...command];
}

/** A program that is no script of ours. Its output goes nowhere, unless it fails to start. */
export class Program {
  readonly process: ChildProcess;
  protected said = "";

  constructor(core: Core, command: readonly string[], withMessages = false) {
    const [file, ...args] = onCore(core, command);
    const stdio = withMessages ? (["ignore", "pipe", "pipe", "ipc"] as const) : (["ignore", "pipe", "pipe"] as const);
    this.process = spawn(file!, args, { stdio: [...stdio] });
    running.add(this.process);
    this.process.once("close", () => running.delete(this.process));
    for (const stream of [this.process.stdout!, this.process.stderr!]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.said = (this.said + text).slice(-4096);
      });
    }
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** Resolves once something accepts at `port`. */
  async accepting(port: number): Promise<void> {
    for (const limit = Date.now() + startLimitMs; ; ) {
      if (this.process.exitCode !== null) throw new Error(`${this.process.spawnargs.join(" ")} ended: ${this.said}`);
      const socket = createConnection(port, "127.0.0.1");
      const accepted = await new Promise<boolean>((done) => {
        socket.once("connect", () => done(true)).once("error", () => done(false));
      });
      socket.destroy();
      if (accepted) return;
      if (Date.now() > limit) throw new Error(`nothing accepts at port ${port} after ${startLimitMs} ms: ${this.said}`);
      await new Promise((done) => setTimeout(done, 20));
    }
  }

  /** The first line that it writes to standard output. */
  firstLine(): Promise<string> {
    return new Promise((done, fail) => {
      let text = "";
      this.process.stdout!.on("data", (piece: string) => {
        text += piece;
        if (text.includes("\n")) done(text.slice(0, text.indexOf("\n")));
      });
      this.process.once("close", (code) => fail(new Error(`it ended with ${code}: ${this.said}`)));
    });
  }

  /** Resolves when it has ended by itself, to what it said at its end. */
  async ended(): Promise<string> {
    const [code] = (await once(this.process, "close")) as [number | null];
    if (code !== 0) throw new Error(`${this.process.spawnargs.join(" ")} ended with ${code}: ${this.said}`);
    return this.said;
  }

  async stop(): Promise<void> {
    if (!running.has(this.process)) return;
    const closed = once(this.process, "close");
    this.process.kill("SIGTERM");
    const force = setTimeout(() => this.process.kill("SIGKILL"), stopLimitMs);
    await closed;
    clearTimeout(force);
  }

  /** The next message that it sends; only from a program that was started `withMessages`. */
  receive<T>(): Promise<T> {
    return new Promise((done, fail) => {
      const onMessage = (message: unknown): void => {
        this.process.off("close", onClose);
        done(message as T);
      };
      const onClose = (code: number | null): void => {
        this.process.off("message", onMessage);
        fail(new Error(`${this.process.spawnargs.at(-1)} ended with ${code}: ${this.said}`));
      };
      this.process.once("message", onMessage);
      this.process.once("close", onClose);
    });
  }

  async ask<T>(message: object): Promise<T> {
    const answer = this.receive<T>();
    this.process.send(message);
    return answer;
  }
}

/** A script of this folder, run by this Node, spoken to by messages: it sends one when ready, and answers those it is sent. */
export class Script extends Program {
  private constructor(core: Core, command: readonly string[]) {
    super(core, command, true);
  }

  static async start<Ready>(
    core: Core,
    script: URL,
    args: readonly string[] = [],
  ): Promise<{ script: Script; ready: Ready }> {
    const started = new Script(core, [process.execPath, "--expose-gc", fileURLToPath(script), ...args]);
    return { script: started, ready: await started.receive<Ready>() };
  }
}
