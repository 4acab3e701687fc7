/**
 * The shape of one case of what a service may answer, and the words that their tables are written in: the bytes, how the
 * service's side of the connection ends, and what the client and the service may see of it.
 */

/** What the service does behind its bytes. */
export const Ending = { stays: "stays", fin: "fin", reset: "reset" } as const;
export type Ending = (typeof Ending)[keyof typeof Ending];

export const Outcome = {
  /** The client has the whole answer. */
  whole: "whole",
  /** The client is told 502. */
  refused: "refused",
  /** The client's connection breaks: what it has of an answer cannot be taken for whole. */
  broken: "broken",
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

export interface AnswerCase {
  /** The number in the table of `packages/wire/http1/README.md`. */
  readonly rule: number;
  readonly family: string;
  readonly method: string;
  /** Fields of the request besides Host. */
  readonly fields: string;
  readonly bytes: string;
  readonly ending: Ending;
  readonly outcome: Outcome;
  /** Status and body that the client has, when it has them; a part of its head in lower case, line by line. */
  readonly status: number;
  readonly body: string;
  readonly head: readonly string[];
  /** How often the service is asked: more than once only when it answered nothing and asking again does no harm. */
  readonly asked: number;
  /** The connection to the service is used again. */
  readonly kept: boolean;
}

const plain = { method: "GET", fields: "", head: [], asked: 1, kept: false } as const;

/** A whole answer for the client. */
export function passed(
  rule: number,
  family: string,
  bytes: string,
  status: number,
  body: string,
  more: Partial<AnswerCase> = {},
): AnswerCase {
  const ending = Ending.stays;
  return { ...plain, rule, family, bytes, ending, outcome: Outcome.whole, status, body, kept: true, ...more };
}

/** Nothing of it is passed on: 502, and the connection is not used again. */
export function refusedAnswer(
  rule: number,
  family: string,
  texts: readonly string[],
  more: Partial<AnswerCase> = {},
): AnswerCase[] {
  const outcome = Outcome.refused;
  return texts.map((bytes) => {
    return { ...plain, rule, family, bytes, ending: Ending.stays, outcome, status: 502, body: "", ...more };
  });
}

/** The head was good and may have been passed on; what followed was not. */
export function brokenAnswer(
  rule: number,
  family: string,
  texts: readonly string[],
  more: Partial<AnswerCase> = {},
): AnswerCase[] {
  const outcome = Outcome.broken;
  return texts.map((bytes) => {
    return { ...plain, rule, family, bytes, ending: Ending.stays, outcome, status: 0, body: "", ...more };
  });
}

/** A case as a test's message shows it. */
export function showAnswer({ family, method, bytes, ending }: AnswerCase): string {
  const text = bytes.length > 300 ? `${bytes.slice(0, 250)}… (${bytes.length})` : bytes;
  return `${family}: ${method}, ${JSON.stringify(text)}, ${ending}`;
}
