/** Front door of `edge/layer4`: TCP and UDP services. */
export {
  defaultTcpLimits,
  type TcpCounters,
  TcpEnd,
  type TcpLimits,
  type TcpListener,
  type TcpListenerOptions,
  type TcpRecord,
  type TcpSettings,
} from "./contract.ts";
export type { Seats } from "./crowd.ts";
export {
  defaultUdpLimits,
  type UdpCounters,
  UdpEnd,
  type UdpLimits,
  type UdpListener,
  type UdpListenerOptions,
  type UdpRecord,
  type UdpSettings,
} from "./datagrams.ts";
export { type Layer4Options, Layer4Service, type Layer4Settings, type Transport } from "./service.ts";
export { createTcpListener } from "./tcp.ts";
export { createUdpListener } from "./udp.ts";
