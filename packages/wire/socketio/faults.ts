/** What a peer can do wrong in Socket.IO's protocol. Each ends its connection; none is ever thrown. */

export const faultMessages = {
  SOCKETIO_TYPE: "unknown packet type",
  SOCKETIO_ATTACHMENTS: "illegal number of attachments",
  SOCKETIO_ATTACHMENTS_MANY: "too many attachments",
  SOCKETIO_NAMESPACE: "illegal namespace",
  SOCKETIO_ID: "illegal acknowledgement id",
  SOCKETIO_DATA: "data that this packet type does not carry",
  SOCKETIO_JSON: "malformed JSON",
  SOCKETIO_DEPTH: "JSON nested too deep",
  SOCKETIO_EVENT: "illegal or reserved event name",
  SOCKETIO_PLACEHOLDER: "a placeholder that names no attachment, or one twice",
  SOCKETIO_TEXT_EARLY: "a packet before the attachments of the last one",
  SOCKETIO_BINARY_STRAY: "an attachment that belongs to no packet",
} as const;
export type FaultCode = keyof typeof faultMessages;

export interface Fault {
  readonly code: FaultCode;
  readonly message: string;
}

interface Failed {
  readonly ok: false;
  readonly fault: Fault;
}

function failed(code: FaultCode): Failed {
  return Object.freeze({ ok: false, fault: Object.freeze({ code, message: faultMessages[code] }) });
}

/** One frozen result per fault: refusing costs no allocation. */
export const faults = Object.freeze({
  type: failed("SOCKETIO_TYPE"),
  attachments: failed("SOCKETIO_ATTACHMENTS"),
  attachmentsMany: failed("SOCKETIO_ATTACHMENTS_MANY"),
  namespace: failed("SOCKETIO_NAMESPACE"),
  id: failed("SOCKETIO_ID"),
  data: failed("SOCKETIO_DATA"),
  json: failed("SOCKETIO_JSON"),
  depth: failed("SOCKETIO_DEPTH"),
  event: failed("SOCKETIO_EVENT"),
  placeholder: failed("SOCKETIO_PLACEHOLDER"),
  textEarly: failed("SOCKETIO_TEXT_EARLY"),
  binaryStray: failed("SOCKETIO_BINARY_STRAY"),
});
