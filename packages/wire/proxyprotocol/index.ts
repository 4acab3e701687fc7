/** Front door of `wire/proxyprotocol`: the header that a proxy sends ahead of a connection, versions 1 and 2. */
export type * from "./contract.ts";
export { decode, PROXY_HEADER_BYTES_MAX } from "./decode.ts";
export { encodeV1, encodeV2, type V2Options } from "./encode.ts";
export type { ProxyFault, ProxyFaultCode } from "./faults.ts";
export { TlvType } from "./tlv.ts";
