/** The error answers of Engine.IO: what a refused handshake or request is told. Codes are the protocol's. */

export const EngineErrorCode = {
  unknownTransport: 0,
  unknownSid: 1,
  badHandshakeMethod: 2,
  badRequest: 3,
  forbidden: 4,
  unsupportedProtocol: 5,
} as const;
export type EngineErrorCode = (typeof EngineErrorCode)[keyof typeof EngineErrorCode];

export interface EngineError {
  readonly status: 400 | 403;
  readonly message: string;
}

export const engineErrors: Readonly<Record<EngineErrorCode, EngineError>> = Object.freeze({
  0: { status: 400, message: "Transport unknown" },
  1: { status: 400, message: "Session ID unknown" },
  2: { status: 400, message: "Bad handshake method" },
  3: { status: 400, message: "Bad request" },
  4: { status: 403, message: "Forbidden" },
  5: { status: 400, message: "Unsupported protocol version" },
});

/** The answer's body: `{"code","message"}`, with the table's message unless the application gave one. */
export function encodeEngineError(code: EngineErrorCode, message: string = engineErrors[code].message): string {
  return JSON.stringify({ code, message });
}
