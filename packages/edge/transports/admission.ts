/** The application's word on a request, where it is asked in another process: how it is asked, and what reaches the client. */
import type { Clock, FieldList } from "@tideway/base";
import type { ClientRequest, RequestDoor, Verdict } from "@tideway/engine/hub";
import { HeldExchange } from "./hold.ts";
import type { TransportRequest, TransportsOptions } from "./options.ts";
import type { Incoming } from "./verify.ts";

export interface Admission {
  /** The door's number. */
  readonly question: number;
  readonly verdict: Verdict;
}

/** A request in the door's words. */
export function shown(request: TransportRequest, upgrade: boolean, opens: boolean): ClientRequest {
  const { method, url, headers, address, secure } = request;
  return { method, url, headers, address, secure, opens, upgrade };
}

/**
 * Holds the request until the application has spoken; `decided` gets it with its admission, which is null when no word
 * came in time. It is not called when the client has gone meanwhile. While the request is held, `held` has what gives it up.
 */
export function askDoor(
  door: RequestDoor,
  clock: Clock,
  incoming: Incoming,
  request: ClientRequest,
  held: Set<() => void>,
  decided: (incoming: Incoming) => void,
): void {
  const exchange = new HeldExchange(incoming.exchange);
  let question = 0;
  const decide = (verdict: Verdict | null) => {
    // A door may answer at once, when its number is not known yet.
    if (question === 0) {
      clock.defer(() => decide(verdict));
      return;
    }
    if (!held.delete(giveUp)) return;
    if (!exchange.gone) decided({ ...incoming, exchange, admission: verdict && { question, verdict } });
    // Of no effect when a session was opened.
    door.over(question);
  };
  const giveUp = () => decide(null);
  held.add(giveUp);
  question = door.ask(request, decide);
}

/** The application's own answer, as far as it is one. */
export function answerOf({ status, body }: Verdict): { status: number; body: Uint8Array | string } {
  if (status < 200 || status > 599) return { status: 500, body: "" };
  return { status, body: status === 204 || status === 304 ? "" : body };
}

/** Ours to say: framing, the connection, and what an answer of Engine.IO is. */
const own: ReadonlySet<string> = new Set([
  "cache-control",
  "connection",
  "content-length",
  "content-type",
  "date",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
  "x-request-id",
]);

/** Fields that the application wants on an answer, less those that are ours to say. */
export function addFields(to: FieldList, wanted: readonly string[], isAnswer = false): void {
  for (let i = 0; i + 1 < wanted.length; i += 2) {
    const name = wanted[i]!.toLowerCase();
    if (own.has(name) && !(isAnswer && name === "content-type")) continue;
    if (name.startsWith("sec-websocket-") || !/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) continue;
    to.push(name, clean(wanted[i + 1]!));
  }
}

/** Lets the application's hooks add fields, here or in another process; `isInitial` when the request opens a session. */
export function addHookFields(
  incoming: Incoming,
  { initialHeaders, headers }: TransportsOptions,
  request: () => TransportRequest,
  isInitial: boolean,
): void {
  addFields(incoming.fields, incoming.admission?.verdict.granted ?? []);
  if (headers === undefined && (initialHeaders === undefined || !isInitial)) return;
  const added: Record<string, string | string[]> = {};
  const asked = request();
  if (isInitial) initialHeaders?.(added, asked);
  headers?.(added, asked);
  for (const [name, values] of Object.entries(added)) {
    for (const value of [values].flat()) incoming.fields.push(name.toLowerCase(), clean(String(value)));
  }
}

/** Without what would end a field line or not fit one: the value is the application's, and may hold a client's words. */
function clean(value: string): string {
  return value.replace(/[^\t\x20-\x7e\x80-\xff]/g, "");
}
