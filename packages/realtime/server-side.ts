/** `serverSideEmit`: what servers of one hub say to each other. The hub passes it on and counts the answers. */
import type { AnswerCollector, HubSession } from "./session.ts";
import { callUser } from "./user-code.ts";

/** A namespace's own events, which no server may say in its place. */
const reservedNames: ReadonlySet<unknown> = new Set(["connect", "connection", "new_namespace"]);

/** How long other servers' answers are waited for, in ms: as with Socket.IO's adapters. */
const answersMs = 5_000;

type Callback = (error: Error | null, responses: unknown[]) => unknown;

/** Always true. */
export function emitToServers(
  session: HubSession,
  namespace: string,
  name: string | symbol,
  args: readonly unknown[],
): boolean {
  if (reservedNames.has(name)) throw new Error(`"${String(name)}" is a reserved event name`);
  const last = args.at(-1);
  const collector = typeof last === "function" ? collect(last as Callback) : null;
  const said = collector === null ? args : args.slice(0, -1);
  session.serverEmit(namespace, [name, ...said], answersMs, collector);
  return true;
}

/** Another server's event: hands `run` its arguments, the way to answer as the last of them when one is wanted. */
export function answerable(session: HubSession, args: unknown[], ask: number | null): [string, ...unknown[]] {
  if (ask === null) return args as [string, ...unknown[]];
  let sent = false;
  const answer = (value: unknown) => {
    if (sent) return;
    sent = true;
    session.serverReply(ask, value === undefined ? [] : [value]);
  };
  return [args[0] as string, ...args.slice(1), answer];
}

function collect(done: Callback): AnswerCollector {
  const responses: unknown[] = [];
  return {
    onAnswer(args) {
      responses.push(args[0]);
      return false;
    },
    onAnswered(missing) {
      const text = `timeout reached: only ${responses.length} responses received out of ${responses.length + missing}`;
      callUser(undefined, done, [missing > 0 ? new Error(text) : null, responses]);
    },
  };
}
