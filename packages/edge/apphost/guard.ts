/**
 * The guard: one small shell per Tideway that outlives it. It reads the groups of the running instances from a pipe; when
 * the pipe ends, because Tideway ended in whatever way (`kill -9` too), it ends those groups. A shell and not a Node: it
 * costs one megabyte and is there within a millisecond. It leads a session of its own, so that neither Ctrl-C nor a
 * signal to Tideway's group reaches it. It keeps Node's loop alive: while instances are wanted, even if all of them are
 * waiting for their next start, Tideway has something to do.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Clock, Logger, Timer } from "@tideway/base";

/** Groups have a second for an orderly end; then they are killed. */
const SCRIPT = `
trap '' HUP INT TERM QUIT
groups=' '
while read -r verb group; do
  case $verb in
    add) groups="$groups$group " ;;
    del) case $groups in *" $group "*) groups="\${groups%% $group *} \${groups#* $group }" ;; esac ;;
  esac
done
[ "$groups" = ' ' ] && exit 0
for group in $groups; do kill -s TERM -- "-$group" 2>/dev/null; done
sleep 1
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
exit 0
`;
const RESTART_MS = 1_000;

export class Guard {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #groups = new Set<number>();
  #shell: ChildProcess | null = null;
  #restart: Timer | null = null;
  #closing = false;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  start(): void {
    const shell = spawn("/bin/sh", ["-c", SCRIPT], {
      detached: true,
      cwd: "/",
      env: {},
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.#shell = shell;
    const lost = (why: string): void => {
      if (this.#shell !== shell) return;
      this.#shell = null;
      if (this.#closing) return;
      this.#logger.warn({ why }, "the guard of the instances ended; starting another");
      this.#restart = this.#clock.after(RESTART_MS, () => this.start());
    };
    shell.on("error", (error) => lost(error.message));
    shell.on("exit", (code, signal) => lost(signal ?? `exit code ${code}`));
    shell.stdin!.on("error", () => {});
    for (const group of this.#groups) this.#say("add", group);
  }

  add(group: number): void {
    this.#groups.add(group);
    this.#say("add", group);
  }

  remove(group: number): void {
    if (this.#groups.delete(group)) this.#say("del", group);
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#restart?.cancel();
    const shell = this.#shell;
    if (shell === null || shell.exitCode !== null || shell.signalCode !== null) return;
    const gone = once(shell, "exit");
    shell.stdin!.end();
    await gone;
  }

  #say(verb: "add" | "del", group: number): void {
    this.#shell?.stdin?.write(`${verb} ${group}\n`);
  }
}
