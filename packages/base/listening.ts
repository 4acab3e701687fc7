/**
 * Why an address cannot be listened on, as a person should be told: one text for all rooms that listen.
 */
import { OperatorError, type OperatorErrorCode } from "./errors.ts";

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
  /** How a person moves this listener elsewhere; replaces the general way out. */
  readonly hint?: string;
}

interface Explanation {
  readonly code: OperatorErrorCode;
  readonly allowed: string;
  readonly hint: string;
}

/** The system's error as an OperatorError; as it is when it says nothing about the address. */
export function listenFault(error: Error, address: ListenAddress): Error {
  const explained = explain("code" in error ? error.code : undefined, address.port);
  if (explained === null) return error;
  return new OperatorError(explained.code, {
    where: `${address.host}:${address.port}`,
    seen: error.message,
    allowed: explained.allowed,
    hint: address.hint ?? explained.hint,
    cause: error,
  });
}

function explain(code: unknown, port: number): Explanation | null {
  switch (code) {
    case "EADDRINUSE":
      return {
        code: "START_PORT_IN_USE",
        allowed: "a port that nothing listens on",
        hint: `stop what listens on port ${port}, or choose another port`,
      };
    case "EACCES":
    case "EPERM":
      return {
        code: "START_PORT_FORBIDDEN",
        allowed: "a port that this user may use",
        hint: `choose a port above 1023, or allow this user to listen on port ${port}`,
      };
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAFNOSUPPORT":
      return {
        code: "START_ADDRESS_UNAVAILABLE",
        allowed: "an address of this machine",
        hint: "listen on 127.0.0.1, ::1, 0.0.0.0 or one of this machine's addresses",
      };
    default:
      return null;
  }
}
