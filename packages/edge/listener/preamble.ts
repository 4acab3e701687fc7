/**
 * A connection whose PROXY header is to come: reads it, and nothing else, in bounded time and memory. What comes of it is
 * the door's to decide; a header that is none ends the connection without an answer, as its specification asks (§2.1).
 */
import type { ClientInfo } from "@tideway/base";
import { decode, PROXY_HEADER_BYTES_MAX, type ProxyHeader, TlvType } from "@tideway/wire/proxyprotocol";
import type { Shared } from "./shared.ts";
import type { Incoming, Reader } from "./stream.ts";

/** Who is told what came of a connection. */
interface Doorkeeper {
  ready(preamble: Preamble, incoming: Incoming, peer: ClientInfo, client: ClientInfo, rest: Buffer): void;
  lost(preamble: Preamble, peer: ClientInfo, code: string, section: string, message: string): void;
}

/** In the first byte of the SSL extension (§2.2.6): the client came over TLS. */
const CLIENT_SSL = 0x01;

export class Preamble implements Reader {
  readonly #incoming: Incoming;
  readonly #peer: ClientInfo;
  readonly #shared: Shared;
  readonly #door: Doorkeeper;
  readonly #since: number;
  #held: Buffer = Buffer.alloc(0);

  constructor(incoming: Incoming, peer: ClientInfo, shared: Shared, door: Doorkeeper) {
    const { socket } = incoming;
    this.#incoming = incoming;
    incoming.reader = this;
    this.#peer = peer;
    this.#shared = shared;
    this.#door = door;
    this.#since = shared.clock.now();
    socket.on("end", this.#onEnd);
    socket.on("error", this.#onError);
    socket.on("close", this.#onEnd);
  }

  /** Looks at the limit of time. */
  sweep(now: number): void {
    if (now - this.#since < this.#shared.limits.headTimeoutMs) return;
    this.#refuse("PROXY_TIMEOUT", "2", "no PROXY header came in time");
  }

  breakOff(): void {
    this.#refuse("", "", "");
  }

  onRead(view: Buffer): void {
    const bytes = Buffer.concat([this.#held, view]);
    const step = decode(bytes, PROXY_HEADER_BYTES_MAX);
    if (step.state === "incomplete") this.#held = bytes;
    else if (step.state === "fault") this.#refuse(step.fault.code, step.fault.section, step.fault.message);
    else {
      this.#letGo();
      const client = clientBehind(this.#peer, step.value);
      this.#door.ready(this, this.#incoming, this.#peer, client, bytes.subarray(step.next));
    }
  }

  /** A balancer's probe: it connects and closes. Anything else that ends here is cut off. */
  readonly #onEnd = (): void => {
    if (this.#held.length === 0) this.#refuse("", "", "");
    else this.#refuse("PROXY_CUT", "2.2", "the connection ended within its PROXY header");
  };

  readonly #onError = (error: Error): void => {
    this.#shared.logger.debug({ address: this.#peer.address, reason: error.message }, "connection failed");
  };

  #refuse(code: string, section: string, message: string): void {
    this.#letGo();
    // A reset of its own that comes now concerns nobody.
    const { socket } = this.#incoming;
    socket.on("error", () => {});
    socket.destroy();
    this.#door.lost(this, this.#peer, code, section, message);
  }

  #letGo(): void {
    const { socket } = this.#incoming;
    this.#incoming.reader = null;
    socket.off("end", this.#onEnd).off("error", this.#onError).off("close", this.#onEnd);
  }
}

/** The client that a believed header names; the peer itself for LOCAL and what has no IP address (§2.2). */
function clientBehind(peer: ClientInfo, header: ProxyHeader): ClientInfo {
  const { addresses, protocol, tlvs } = header;
  if (addresses === null || protocol === "UNIX" || protocol === "UNIX_DGRAM") return peer;
  const secure = tlvs.some(({ type, value }) => type === TlvType.ssl && (value[0]! & CLIENT_SSL) !== 0);
  const { address, port } = addresses.source;
  return { ...peer, address, port, secure: peer.secure || secure };
}
