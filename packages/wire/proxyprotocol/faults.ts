/**
 * What a peer can do wrong in a PROXY header, with the section of the specification that says so. Never thrown. The one
 * answer to all of them is to break the connection (§2.1, §2.2).
 */
export const faultTable = {
  PROXY_ABSENT: { section: "2", message: "the connection does not begin with a PROXY header" },
  PROXY_V1_LENGTH: { section: "2.1", message: "no CRLF within 107 bytes" },
  PROXY_V1_LINE_END: { section: "2.1", message: "a CR or an LF by itself" },
  PROXY_V1_PROTOCOL: { section: "2.1", message: "a protocol other than TCP4, TCP6 and UNKNOWN" },
  PROXY_V1_SHAPE: { section: "2.1", message: "not two addresses and two ports with one space before each" },
  PROXY_V1_ADDRESS: { section: "2.1", message: "an address that is none of the announced family" },
  PROXY_V1_PORT: { section: "2.1", message: "a port that is no decimal number up to 65535 without leading zeros" },
  PROXY_V2_VERSION: { section: "2.2", message: "a version other than 2 behind the signature" },
  PROXY_V2_COMMAND: { section: "2.2", message: "a command other than LOCAL and PROXY" },
  PROXY_V2_FAMILY: { section: "2.2", message: "an unknown address family" },
  PROXY_V2_TRANSPORT: { section: "2.2", message: "an unknown transport protocol" },
  PROXY_V2_SHORT: { section: "2.2", message: "a length that its addresses do not fit into" },
  PROXY_V2_LENGTH: { section: "2.2", message: "a header longer than the limit" },
  PROXY_V2_TLV: { section: "2.2", message: "an extension that is cut off, or of another length than its type has" },
  PROXY_V2_CHECKSUM: { section: "2.2.3", message: "the checksum is not that of the header" },
} as const;
export type ProxyFaultCode = keyof typeof faultTable;

export interface ProxyFault {
  readonly code: ProxyFaultCode;
  /** Of HAProxy's proxy-protocol.txt. */
  readonly section: string;
  readonly message: string;
}

const frozen = new Map<ProxyFaultCode, ProxyFault>();
for (const code of Object.keys(faultTable) as ProxyFaultCode[])
  frozen.set(code, Object.freeze({ code, ...faultTable[code] }));

/** The one frozen fault of a code. */
export function fault(code: ProxyFaultCode): ProxyFault {
  return frozen.get(code)!;
}
