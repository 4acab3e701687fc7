/** What a peer can do wrong in WebSocket framing, with the close code that RFC 6455 §7.4.1 gives it. Never thrown. */

export const CloseCode = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  /** Never on the wire: the close frame held no code. */
  noStatus: 1005,
  /** Never on the wire: the connection broke without a close frame. */
  abnormal: 1006,
  invalidPayload: 1007,
  policyViolation: 1008,
  messageTooBig: 1009,
  internalError: 1011,
  serviceRestart: 1012,
  tryAgainLater: 1013,
} as const;

export const faultTable = {
  WS_RESERVED_BITS: { closeCode: 1002, message: "reserved bits are set that no extension gives a meaning" },
  WS_OPCODE: { closeCode: 1002, message: "unknown opcode" },
  WS_UNMASKED: { closeCode: 1002, message: "a client's frame is not masked" },
  WS_MASKED: { closeCode: 1002, message: "a server's frame is masked" },
  WS_LENGTH: { closeCode: 1002, message: "a length that is not written in the fewest bytes" },
  WS_CONTROL_FRAGMENTED: { closeCode: 1002, message: "a control frame is fragmented" },
  WS_CONTROL_LENGTH: { closeCode: 1002, message: "a control frame is longer than 125 bytes" },
  WS_CONTINUATION: { closeCode: 1002, message: "a continuation without a message to continue" },
  WS_INTERLEAVED: { closeCode: 1002, message: "a new message before the last one ended" },
  WS_CLOSE_PAYLOAD: { closeCode: 1002, message: "a close frame with half a code" },
  WS_CLOSE_CODE: { closeCode: 1002, message: "a close code that must not be sent" },
  WS_UTF8: { closeCode: 1007, message: "text that is not UTF-8" },
  WS_DEFLATE: { closeCode: 1007, message: "a compressed message that cannot be inflated" },
  WS_TOO_BIG: { closeCode: 1009, message: "a message longer than the limit" },
} as const;
export type FaultCode = keyof typeof faultTable;

export interface Fault {
  readonly code: FaultCode;
  readonly closeCode: number;
  readonly message: string;
}

const frozen = new Map<FaultCode, Fault>();
for (const code of Object.keys(faultTable) as FaultCode[])
  frozen.set(code, Object.freeze({ code, ...faultTable[code] }));

/** The one frozen fault of a code. */
export function fault(code: FaultCode): Fault {
  return frozen.get(code)!;
}

/** Codes that a peer may put into a close frame: RFC 6455 §7.4 and IANA's registry up to 1014; 3000–4999 are free. */
export function isSendableCloseCode(code: number): boolean {
  if (code >= 3000 && code <= 4999) return true;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
}
