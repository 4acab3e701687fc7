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
export { createLayer4Pool, Layer4Member, type Layer4Pool, passiveProbe, portProbe } from "./member.ts";
export { createTcpListener } from "./tcp.ts";
