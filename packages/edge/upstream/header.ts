/**
 * Owns what a PROXY header towards an upstream says: the client as the gateway knows it, and the address that it came to.
 */
import type { ClientInfo } from "@tideway/base";
import { encodeV1, encodeV2, type ProxyAddresses } from "@tideway/wire/proxyprotocol";

export type ProxyVersion = "v1" | "v2";

export function proxyHeader(version: ProxyVersion, client: ClientInfo): Uint8Array {
  const { address, port, localPort } = client;
  const unknown = address.includes(":") ? "::" : "0.0.0.0";
  // A client without an address has nothing that could be told.
  const addresses =
    address === ""
      ? null
      : { source: { address, port }, destination: { address: client.localAddress ?? unknown, port: localPort } };
  return encode(version, addresses);
}

/** For a connection of our own: a probe. Version 1 knows no such thing, and is told the connection's own ends. */
export function ownProxyHeader(version: ProxyVersion, ends: ProxyAddresses): Uint8Array {
  return encode(version, version === "v2" ? null : ends);
}

function encode(version: ProxyVersion, addresses: ProxyAddresses | null): Uint8Array {
  return version === "v1" ? encodeV1(addresses) : encodeV2(addresses);
}
