/**
 * The contract between transports, hub and servers about clients' HTTP requests: whoever answers them is the edge, and
 * whoever may judge them an application in another process. No code here, only shapes; the rest is in `contract.ts`.
 */

/** A client's HTTP request as far as an application may judge it: its head. */
export interface ClientRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly address: string;
  readonly secure: boolean;
  /** Whether a session would be opened by it. */
  readonly opens: boolean;
  /** Whether it asks for a WebSocket. */
  readonly upgrade: boolean;
}

/** What a server says to a request. Names and values alternate in the lists of fields. */
export interface Verdict {
  /**
   * `pass`: the edge goes on. `forbid`: `allowRequest` said no. `answer`: with `status` and the body, by the application.
   * `again`, from the hub alone: it came before any server; whether it is to be shown is known only now.
   */
  readonly outcome: "pass" | "forbid" | "answer" | "again";
  readonly status: number;
  /** With `forbid`: what the client is told; empty for the usual. */
  readonly message: string;
  /** Name of the session to be; empty when the edge may choose. */
  readonly session: string;
  /** For every answer to this request. */
  readonly fields: readonly string[];
  /** Whether the application allows the page's origin, where its rule is a function. */
  readonly origin: boolean;
  /** For an answer that is no refusal. */
  readonly granted: readonly string[];
  readonly body: Uint8Array;
}

/** Why a request was refused, in Engine.IO's codes and words. */
export interface RequestRefusal {
  readonly code: number;
  readonly name: string;
  readonly message: string;
}

/** Whom the transports show requests to. */
export interface RequestDoor {
  /** Whether they are to be shown at all, as of now. */
  readonly asks: boolean;
  /** Whether some that waited are still to be let in: one that opens a session belongs behind them, and is to be shown too. */
  readonly crowded: boolean;
  /** Asks a server. `decide` is called once: with null when none answers in time. Returns the question's number. */
  ask(request: ClientRequest, decide: (verdict: Verdict | null) => void): number;
  /** No session has come of the request. One that has is told by `Hub.open`. */
  over(question: number): void;
  /** It was refused: for servers that want to know. `question` is 0 when nobody was asked. */
  refused(question: number, request: ClientRequest, refusal: RequestRefusal): void;
  /** Whether a server wants to know of refusals. */
  readonly hears: boolean;
  /** What the servers want of the transports: a JSON list of what each says in the transports' own words; empty before the first. */
  readonly wishes: string;
}
