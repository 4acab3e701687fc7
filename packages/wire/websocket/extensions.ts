/**
 * What a client offers in `Sec-WebSocket-Extensions` (RFC 6455 §9.1) and what a server takes of it: `permessage-deflate`
 * (RFC 7692 §7.1) without context takeover in either direction, so that a message is compressed once for all of its
 * receivers and no compressor is kept for a connection that says nothing. Decides; compresses nothing.
 */

/** What a server can do, when it wants compression at all. */
export interface DeflateTerms {
  /** The largest LZ77 window that it compresses with, as a power of two: 9 to 15. */
  readonly windowBitsMax: number;
}

export interface DeflateAgreement {
  /** The window that the server's messages are compressed with. */
  readonly windowBits: number;
  /** The value of the answer's `Sec-WebSocket-Extensions`. */
  readonly field: string;
}

export interface Extension {
  readonly name: string;
  /** In the order in which they came; a value is null when there was none. */
  readonly parameters: readonly (readonly [name: string, value: string | null])[];
}

/** zlib cannot make a raw stream with a window of 256 bytes (2^8). */
export const windowBitsMin = 9;

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const BLANK = "[ \\t]*";
const nameAt = new RegExp(`${BLANK}(${TOKEN})${BLANK}`, "y");
const parameterAt = new RegExp(
  `;${BLANK}(${TOKEN})${BLANK}(?:=${BLANK}(?:(${TOKEN})|"((?:[^"\\\\]|\\\\.)*)")${BLANK})?`,
  "y",
);
const gapAt = new RegExp(`${BLANK}(?:,${BLANK})*`, "y");
const wholeToken = new RegExp(`^${TOKEN}$`);

/** The extensions that a field offers, in its order of preference; null when it breaks the grammar. */
export function parseExtensions(field: string): Extension[] | null {
  const extensions: Extension[] = [];
  let at = skip(gapAt, field, 0);
  while (at < field.length) {
    const name = matchAt(nameAt, field, at);
    if (name === null) return null;
    at = nameAt.lastIndex;
    const parameters: [string, string | null][] = [];
    for (let found = matchAt(parameterAt, field, at); found !== null; found = matchAt(parameterAt, field, at)) {
      at = parameterAt.lastIndex;
      const value = found[2] ?? found[3]?.replace(/\\(.)/g, "$1") ?? null;
      // A quoted value must be a token once its quotes are off (§9.1).
      if (value !== null && !wholeToken.test(value)) return null;
      parameters.push([found[1]!, value]);
    }
    extensions.push({ name: name[1]!, parameters });
    if (at < field.length && field[at] !== ",") return null;
    at = skip(gapAt, field, at);
  }
  return extensions;
}

/** The first offer of `permessage-deflate` that a server can keep; null when there is none. */
export function agreeOnDeflate(offers: readonly Extension[], terms: DeflateTerms): DeflateAgreement | null {
  for (const offer of offers) {
    const agreement = offer.name === "permessage-deflate" ? agree(offer, terms) : null;
    if (agreement !== null) return agreement;
  }
  return null;
}

/** One offer. An unknown parameter, one that comes twice or a value that is not allowed declines it (RFC 7692 §7.1). */
function agree({ parameters }: Extension, terms: DeflateTerms): DeflateAgreement | null {
  const seen = new Set<string>();
  let windowBits = terms.windowBitsMax;
  let asked = false;
  for (const [name, value] of parameters) {
    if (seen.has(name)) return null;
    seen.add(name);
    switch (name) {
      case "server_no_context_takeover":
      case "client_no_context_takeover":
        if (value !== null) return null;
        break;
      case "client_max_window_bits":
        // Only a promise or a question: a message is inflated with the largest window, which reads all of them.
        if (value !== null && bitsOf(value) === 0) return null;
        break;
      case "server_max_window_bits": {
        const bits = value === null ? 0 : bitsOf(value);
        if (bits < windowBitsMin) return null;
        windowBits = Math.min(windowBits, bits);
        asked = true;
        break;
      }
      default:
        return null;
    }
  }
  const base = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
  const field = asked ? `${base}; server_max_window_bits=${windowBits}` : base;
  return { windowBits, field };
}

/** 8 to 15 in decimal, without a zero in front; 0 for anything else. */
function bitsOf(value: string): number {
  return /^(?:8|9|1[0-5])$/.test(value) ? Number(value) : 0;
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function skip(pattern: RegExp, text: string, at: number): number {
  matchAt(pattern, text, at);
  return pattern.lastIndex;
}
