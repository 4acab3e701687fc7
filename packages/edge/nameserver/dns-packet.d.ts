/** The slice of `dns-packet` (which ships no types) that this room uses: how one record becomes bytes. */
declare module "dns-packet" {
  interface RecordCodec {
    encode: { (record: object, into: Buffer, offset: number): unknown; bytes: number };
    encodingLength(record: object): number;
  }
  export const answer: RecordCodec;
  export function decode(message: Buffer): {
    id: number;
    type: string;
    rcode: string;
    flag_aa: boolean;
    flag_tc: boolean;
    flag_rd: boolean;
    flag_ra: boolean;
    questions: { name: string; type: string; class: string }[];
    answers: { name: string; type: string; ttl: number; data: unknown }[];
    authorities: { name: string; type: string; ttl: number; data: unknown }[];
    additionals: { name: string; type: string; udpPayloadSize?: number; extendedRcode?: number; flags?: number }[];
  };
  export function encode(message: object): Buffer;
  const packet: { answer: RecordCodec; decode: typeof decode; encode: typeof encode };
  export default packet;
}
