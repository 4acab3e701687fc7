/**
 * Every way in which a peer's HTTP/1.1 can be wrong, in one table: stable code, status, the number of the rule it breaks
 * (README.md) and the section of the specification. A response's faults carry 502, whatever a request's would.
 */

/** code: [status, rule, section, message] */
const table = {
  BARE_LF: [400, 1, "RFC 9112 §2.2", "a line ends with LF alone"],
  BARE_CR: [400, 1, "RFC 9112 §2.2", "CR without LF"],
  EMPTY_LINES: [400, 1, "RFC 9112 §2.2", "too many empty lines before the request line"],
  SPACE_BEFORE_FIELDS: [400, 2, "RFC 9112 §2.2", "white space before the first field"],
  REQUEST_LINE: [400, 3, "RFC 9112 §3", "the request line is not: method SP target SP HTTP/1.x"],
  METHOD_TOO_LONG: [501, 3, "RFC 9112 §3", "the method is longer than any that is known"],
  VERSION: [400, 3, "RFC 9112 §2.3", "the version is not HTTP/1.x"],
  VERSION_MAJOR: [505, 3, "RFC 9110 §15.6.6", "another major version of HTTP"],
  STATUS_LINE: [400, 3, "RFC 9112 §4", "the status line is not: HTTP/1.x SP status SP reason"],
  TARGET_TOO_LONG: [414, 3, "RFC 9112 §3", "the target is too long"],
  HOST_MISSING: [400, 4, "RFC 9112 §3.2", "HTTP/1.1 without Host"],
  HOST_REPEATED: [400, 4, "RFC 9112 §3.2", "more than one Host"],
  HOST_INVALID: [400, 4, "RFC 9112 §3.2", "Host is not a host name or address with an optional port"],
  TARGET_FORM: [400, 5, "RFC 9112 §3.2", "the target is neither a path nor an http address, nor * with OPTIONS"],
  TARGET_CHARACTER: [400, 5, "RFC 3986 §2", "a character that may not stand in a target"],
  METHOD_REFUSED: [405, 5, "RFC 9110 §9.3", "CONNECT and TRACE are not served"],
  SPACE_BEFORE_COLON: [400, 6, "RFC 9112 §5.1", "white space within or behind a field's name"],
  FIELD_NAME: [400, 6, "RFC 9112 §5", "a field's name is empty, not a token, or without a colon"],
  OBS_FOLD: [400, 7, "RFC 9112 §5.2", "a field is folded over lines"],
  CONTROL_CHARACTER: [400, 8, "RFC 9110 §5.5", "a control character"],
  LENGTH_WITH_ENCODING: [400, 9, "RFC 9112 §6.1", "Content-Length together with Transfer-Encoding"],
  ENCODING_IN_HTTP_1_0: [400, 10, "RFC 9112 §6.1", "Transfer-Encoding in HTTP/1.0"],
  ENCODING_INVALID: [400, 10, "RFC 9112 §6.3", "Transfer-Encoding is not exactly one chunked"],
  ENCODING_UNKNOWN: [501, 10, "RFC 9112 §6.1", "an unknown transfer coding"],
  LENGTH_INVALID: [400, 11, "RFC 9112 §6.3", "Content-Length is not one decimal number within bounds"],
  CHUNK_SIZE: [400, 12, "RFC 9112 §7.1", "a chunk's size is not a hexadecimal number within bounds"],
  CHUNK_EXTENSION: [400, 12, "RFC 9112 §7.1.1", "a chunk's extension is malformed or too long"],
  CHUNK_END: [400, 12, "RFC 9112 §7.1", "a chunk's data does not end with CRLF"],
  TRAILER_REFUSED: [400, 13, "RFC 9110 §6.5.1", "a framing or routing field among the trailers"],
  UPGRADE_UNASKED: [400, 15, "RFC 9110 §15.2.2", "101 without a request to upgrade"],
  INTERIM_FLOOD: [400, 15, "RFC 9110 §15.2", "too many interim responses"],
  TRUNCATED: [400, 15, "RFC 9112 §8", "the connection closed inside a message"],
  PATH_ENCODING: [400, 16, "RFC 3986 §2.1", "a broken percent-encoding in the path, or one of a control character"],
  FIELD_TOO_LARGE: [431, 18, "RFC 6585 §5", "a field is too large"],
  FIELDS_TOO_LARGE: [431, 18, "RFC 6585 §5", "the fields are too large together"],
  FIELDS_TOO_MANY: [431, 18, "RFC 6585 §5", "too many fields"],
} as const satisfies Record<string, readonly [number, number, string, string]>;

export type HttpFaultCode = keyof typeof table;

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

function freezeAll(statusOf: (status: number) => number): Readonly<Record<HttpFaultCode, HttpFault>> {
  const faults: Partial<Record<HttpFaultCode, HttpFault>> = {};
  for (const [code, [status, rule, section, message]] of Object.entries(table)) {
    const key = code as HttpFaultCode;
    faults[key] = Object.freeze({ code: key, status: statusOf(status), rule, section, message });
  }
  return Object.freeze(faults as Record<HttpFaultCode, HttpFault>);
}

export const requestFaults = freezeAll((status) => status);
export const responseFaults = freezeAll(() => 502);
