/**
 * Puts packets and their attachments together: text and binary messages in, whole packets out. Holds at most one packet
 * and its attachments; their bytes are bounded by the transport's message limit times `attachmentsMax`.
 */
import { type Fault, faults } from "./faults.ts";
import { decodePacket, defaultPacketLimits, type Packet, type PacketLimits } from "./packet.ts";

/** A whole packet; null while attachments are missing. */
export type Assembled =
  | { readonly ok: true; readonly packet: Packet | null; readonly attachments: readonly Uint8Array[] }
  | { readonly ok: false; readonly fault: Fault };

const NO_ATTACHMENTS: readonly Uint8Array[] = Object.freeze([]);
const INCOMPLETE: Assembled = Object.freeze({ ok: true, packet: null, attachments: NO_ATTACHMENTS });

export class PacketAssembly {
  readonly #limits: PacketLimits;
  #waiting: Packet | null = null;
  #attachments: Uint8Array[] | null = null;

  constructor(limits: PacketLimits = defaultPacketLimits) {
    this.#limits = limits;
  }

  /** One text message. */
  text(data: string): Assembled {
    if (this.#waiting !== null) return faults.textEarly;
    const decoded = decodePacket(data, this.#limits);
    if (!decoded.ok) return decoded;
    if (decoded.packet.attachments === 0) return { ok: true, packet: decoded.packet, attachments: NO_ATTACHMENTS };
    this.#waiting = decoded.packet;
    this.#attachments = [];
    return INCOMPLETE;
  }

  /** One binary message: the next attachment of the packet that waits. */
  binary(data: Uint8Array): Assembled {
    const packet = this.#waiting;
    const attachments = this.#attachments;
    if (packet === null || attachments === null) return faults.binaryStray;
    attachments.push(data);
    if (attachments.length < packet.attachments) return INCOMPLETE;
    this.#waiting = null;
    this.#attachments = null;
    return { ok: true, packet, attachments };
  }
}
