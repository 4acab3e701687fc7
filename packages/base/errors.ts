/**
 * The registry of coded errors. A code, once published, keeps its meaning. Two families:
 *
 * - operator errors (`CONFIG_…`, `START_…`): for the person who runs the server. They say what, where, what was seen,
 *   what is allowed and how to mend it.
 * - answers (`HTTP_…`): what a client is told, with its status. Never an address, a path of the machine or a stack.
 */

export const operatorErrors = {
  CONFIG_MISSING: "The configuration file does not exist.",
  CONFIG_THREW: "The configuration file failed while it was loaded.",
  CONFIG_INVALID: "The configuration is not valid.",
  START_PORT_IN_USE: "A port that Tideway needs is taken.",
  START_PORT_FORBIDDEN: "This user may not listen on a port that Tideway needs.",
  START_ADDRESS_UNAVAILABLE: "An address that Tideway should listen on is not one of this machine's.",
  START_SERVICE_FAILED: "An application did not start.",
  START_DATA_UNUSABLE: "The data directory cannot be used.",
  START_LOG_UNUSABLE: "The access log's file cannot be opened.",
  START_ALREADY_RUNNING: "Another Tideway uses this data directory.",
  CONTROL_UNREACHABLE: "No running Tideway was found.",
  CONTROL_REFUSED: "The running Tideway cannot do that.",
  STORE_FAILED: "The disk refused a write that had to be durable.",
} as const;
export type OperatorErrorCode = keyof typeof operatorErrors;

export interface OperatorErrorDetails {
  /** File and key path, or the option: where to look. */
  where: string;
  /** What was found there. */
  seen?: string;
  /** What would be right. */
  allowed?: string;
  /** One or two ways to mend it. */
  hint: string;
  cause?: unknown;
}

/** An error that a person must act on; printed as a few lines, never as a stack. */
export class OperatorError extends Error {
  override name = "OperatorError";
  readonly code: OperatorErrorCode;
  readonly details: OperatorErrorDetails;

  constructor(code: OperatorErrorCode, details: OperatorErrorDetails) {
    super(
      `${operatorErrors[code]} (${details.where})`,
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.code = code;
    this.details = details;
  }

  /** The lines for a terminal: what and where, then seen, allowed and the way out. */
  format(): string {
    const { where, seen, allowed, hint } = this.details;
    const lines = [`error ${this.code}: ${operatorErrors[this.code]}`, `  where    ${where}`];
    if (seen !== undefined) lines.push(`  seen     ${seen}`);
    if (allowed !== undefined) lines.push(`  allowed  ${allowed}`);
    lines.push(`  mend     ${hint}`);
    return lines.join("\n");
  }
}

export interface AnswerError {
  readonly status: number;
  readonly message: string;
  readonly hint: string;
  /** Seconds for `Retry-After`, where waiting helps. */
  readonly retryAfter?: number;
}

export const answerErrors = {
  HTTP_BAD_REQUEST: {
    status: 400,
    message: "The request is malformed.",
    hint: "Send a request that follows RFC 9112.",
  },
  HTTP_NO_SITE: {
    status: 421,
    message: "No site of that name is served here.",
    hint: "Check the host name of the address.",
  },
  HTTP_INVALID: {
    status: 400,
    message: "The request does not say what it must, or not as it must.",
    hint: "See in brackets what is expected, and where.",
  },
  HTTP_FORBIDDEN: {
    status: 403,
    message: "This request is not allowed here.",
    hint: "Ask whoever runs this site which pages and clients it serves.",
  },
  HTTP_NOT_FOUND: { status: 404, message: "There is nothing at this address.", hint: "Check the path." },
  HTTP_METHOD: { status: 405, message: "This method is not allowed here.", hint: "See the Allow field." },
  HTTP_TARGET_TOO_LONG: { status: 414, message: "The address is too long.", hint: "Send data in the body instead." },
  HTTP_TOO_LARGE: {
    status: 413,
    message: "The request's body is larger than is allowed here.",
    hint: "Send less, or in several requests.",
  },
  HTTP_MEDIA_TYPE: {
    status: 415,
    message: "A body of this type is not taken here.",
    hint: "Send JSON as application/json.",
  },
  HTTP_TOO_MANY: { status: 429, message: "Too many requests.", hint: "Wait as long as Retry-After says." },
  HTTP_CONNECTIONS: {
    status: 429,
    message: "Too many connections are open from this address.",
    hint: "Close some, or send further requests over those that are open.",
    retryAfter: 1,
  },
  HTTP_RANGE: { status: 416, message: "The range lies outside the file.", hint: "Ask for a range within its length." },
  HTTP_FIELDS_TOO_LARGE: {
    status: 431,
    message: "The request's fields are too large.",
    hint: "Send fewer or shorter fields; clear cookies.",
  },
  HTTP_TIMEOUT: { status: 408, message: "The request did not arrive in time.", hint: "Send it again." },
  HTTP_INTERNAL: {
    status: 500,
    message: "The server met a fault of its own.",
    hint: "Try again; quote the request id.",
  },
  HTTP_NOT_IMPLEMENTED: {
    status: 501,
    message: "A coding or method of the request is not supported.",
    hint: "Use chunked or a length.",
  },
  HTTP_BAD_UPSTREAM: {
    status: 502,
    message: "The service answered with something that is not HTTP, or broke off.",
    hint: "Try again soon.",
    retryAfter: 1,
  },
  HTTP_UNAVAILABLE: {
    status: 503,
    message: "The service has no instance that can answer.",
    hint: "Try again soon.",
    retryAfter: 2,
  },
  HTTP_MAINTENANCE: {
    status: 503,
    message: "This part of the site is being worked on.",
    hint: "Come back later.",
    retryAfter: 60,
  },
  HTTP_BUSY: { status: 503, message: "Too much is going on here already.", hint: "Try again soon.", retryAfter: 1 },
  HTTP_UPSTREAM_TIMEOUT: { status: 504, message: "The service took too long to answer.", hint: "Try again later." },
  HTTP_STORAGE: {
    status: 507,
    message: "There is no room to keep this now.",
    hint: "Try again later; nothing was kept.",
    retryAfter: 5,
  },
  HTTP_VERSION: { status: 505, message: "This version of HTTP is not spoken here.", hint: "Use HTTP/1.1." },
} as const satisfies Record<string, AnswerError>;
export type AnswerErrorCode = keyof typeof answerErrors;

export interface ErrorAnswer {
  status: number;
  fields: string[];
  body: string;
}

/**
 * An error as a client should see it: JSON to those that accept JSON, a short page to browsers, text otherwise.
 * `accept` is the request's field (empty when absent); `detail` is added to the message, for example the service's name;
 * `retryAfter` are seconds for `Retry-After`, the registry's unless given; 0: none.
 */
export function renderError(
  code: AnswerErrorCode,
  accept: string,
  detail = "",
  requestId = "",
  retryAfter?: number,
): ErrorAnswer {
  const entry: AnswerError = answerErrors[code];
  const seconds = retryAfter ?? entry.retryAfter ?? 0;
  const message = detail === "" ? entry.message : `${entry.message} (${detail})`;
  const fields: string[] = ["cache-control", "no-store"];
  if (seconds > 0) fields.push("retry-after", String(seconds));
  const wantsHtml = accept.includes("text/html");
  const wantsJson = /\bapplication\/(?:[\w.-]+\+)?json\b/.test(accept);
  if (wantsJson && !wantsHtml) {
    fields.push("content-type", "application/json; charset=utf-8");
    const body = JSON.stringify({ error: { code, message, hint: entry.hint } });
    return { status: entry.status, fields, body };
  }
  if (wantsHtml) {
    fields.push(
      "content-type",
      "text/html; charset=utf-8",
      "content-security-policy",
      "default-src 'none'; style-src 'unsafe-inline'",
    );
    return { status: entry.status, fields, body: errorPage(entry.status, message, entry.hint, requestId) };
  }
  fields.push("content-type", "text/plain; charset=utf-8");
  return { status: entry.status, fields, body: `${entry.status} ${message}\n${entry.hint}\n` };
}

function errorPage(status: number, message: string, hint: string, requestId: string): string {
  const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${status}</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 1.25rem;color:#1d2a33;background:#f6f8f9}
h1{font-size:1.25rem}small{color:#5b6b75}@media(prefers-color-scheme:dark){body{color:#dfe7ec;background:#12191e}small{color:#8b9aa4}}</style>
<h1>${status} · ${escapeHtml(message)}</h1><p>${escapeHtml(hint)}</p>${requestId === "" ? "" : `<small>Request ${escapeHtml(requestId)}</small>`}</html>`;
}
