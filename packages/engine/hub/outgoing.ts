/** A packet on its way to clients: encoded once, shared by all who get it. */
import type { Outgoing, Payload } from "./contract.ts";

const NONE: readonly Uint8Array[] = Object.freeze([]);

export class Packet implements Outgoing {
  readonly text: string;
  readonly attachments: readonly Uint8Array[];
  readonly volatile: boolean;
  readonly compress: boolean;
  readonly bytes: number;
  readonly personal: boolean;
  /** The transports' own: a slot that is there from the start, so that all packets have one shape. */
  wire: unknown = null;

  constructor(
    text: string,
    attachments: readonly Uint8Array[] = NONE,
    volatile = false,
    compress = true,
    personal = false,
  ) {
    this.text = text;
    this.attachments = attachments;
    this.volatile = volatile;
    this.compress = compress;
    let bytes = Buffer.byteLength(text);
    for (const attachment of attachments) bytes += attachment.length;
    this.bytes = bytes;
    this.personal = personal;
  }
}

/** What a payload counts for in the hub's queues: its text in UTF-16 units, its binaries, and the objects around them. */
export function payloadWeight(payload: Payload): number {
  let weight = 64 + payload.json.length;
  for (const attachment of payload.attachments) weight += 64 + attachment.length;
  return weight;
}
