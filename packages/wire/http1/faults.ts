/**
 * Every way in which a peer's HTTP/1.1 can be wrong, in one table: stable code, status, the rule it breaks (numbers as in
 * the README) and the section of the specification. A response's faults carry 502, whatever a request's would.
 */

export interface HttpFault {
  /** Stable: in logs and metrics. */
  readonly code: HttpFaultCode;
  /** What the client is answered. */
  readonly status: number;
  readonly rule: number;
  /** For example "RFC 9112 §2.2". */
  readonly section: string;
  readonly message: string;
}

export const httpFaults = {
  BARE_LF: [400, 1, "RFC 9112 §2.2", "a line ends with LF alone"],
} as const satisfies Record<string, readonly [number, number, string, string]>;
export type HttpFaultCode = keyof typeof httpFaults;
