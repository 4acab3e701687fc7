/**
 * One DNS message in, one out (RFC 1035 §4, EDNS(0) RFC 6891). Reading is our own and strict: it never follows a
 * pointer, so nothing in a packet can make it loop, and every count and length is held against the bytes that are there.
 * Records are written by `dns-packet`. Knows nothing of sockets, zones or rates.
 */
import type { Answer, Query, Rcode, ZoneRecord } from "@tideway/engine/zones";
import packet from "dns-packet";

/** What a message that arrived turned out to be. */
export const Reading = {
  query: "query",
  /** Malformed, but with a header to answer: FORMERR. */
  malformed: "malformed",
  /** An OPT of a version that we do not speak: BADVERS. */
  badVersion: "bad-version",
  /** Not to be answered: no header, or an answer itself (two servers could throw those at each other for ever). */
  ignored: "ignored",
} as const;
export type Reading = (typeof Reading)[keyof typeof Reading];

export interface Edns {
  /** Bytes that the client can take over UDP. */
  readonly payloadSize: number;
  readonly dnssecOk: boolean;
}

export interface ReadMessage {
  readonly reading: Reading;
  readonly query: Query;
  /** The message itself and where its question ends: answers repeat the question byte by byte. */
  readonly bytes: Buffer;
  readonly questionEnd: number;
  readonly edns: Edns | null;
}

const HEADER_BYTES = 12;
const NAME_BYTES_MAX = 255;
const OPT = 41;
const DNSSEC_OK = 0x8000;
/** What we say we take over UDP, and send at most: what passes every path unfragmented (DNS Flag Day 2020). */
export const UDP_PAYLOAD_MAX = 1232;
const UDP_PAYLOAD_MIN = 512;
const TCP_MESSAGE_MAX = 65_535;
const OPT_BYTES = 11;

const emptyQuery = (opcode: number): Query => ({ opcode, questions: [] });

export function readMessage(bytes: Buffer): ReadMessage {
  const opcode = bytes.length < 3 ? 0 : (bytes[2]! >> 3) & 15;
  const read = (reading: Reading, edns: Edns | null = null): ReadMessage => {
    return { reading, query: emptyQuery(opcode), bytes, questionEnd: HEADER_BYTES, edns };
  };
  if (bytes.length < HEADER_BYTES || (bytes[2]! & 0x80) !== 0) return read(Reading.ignored);
  const counts = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
  const [questionCount, answerCount, authorityCount, additionalCount] = counts as [number, number, number, number];
  // Other operations give the counts other meanings: the zones say NOTIMP, without looking further.
  if (opcode !== 0) return read(Reading.query);
  if (questionCount !== 1) return read(Reading.malformed);
  const name = readQuestionName(bytes);
  if (name === null || name.end + 4 > bytes.length) return read(Reading.malformed);
  const questionEnd = name.end + 4;
  const question = { name: name.text, type: bytes.readUInt16BE(name.end), class: bytes.readUInt16BE(name.end + 2) };
  let offset = skipRecords(bytes, questionEnd, answerCount + authorityCount);
  let edns: Edns | null = null;
  let version = 0;
  for (let i = 0; i < additionalCount && offset >= 0; i++) {
    const ownerEnd = skipName(bytes, offset);
    const isRoot = ownerEnd === offset + 1;
    const end = skipRecords(bytes, offset, 1);
    if (end >= 0 && bytes.readUInt16BE(ownerEnd) === OPT) {
      if (edns !== null || !isRoot) return read(Reading.malformed);
      version = bytes[ownerEnd + 5]!;
      edns = {
        payloadSize: bytes.readUInt16BE(ownerEnd + 2),
        dnssecOk: (bytes.readUInt16BE(ownerEnd + 6) & DNSSEC_OK) !== 0,
      };
    }
    offset = end;
  }
  if (offset < 0) return read(Reading.malformed, edns);
  const reading = version === 0 ? Reading.query : Reading.badVersion;
  return { reading, query: { opcode, questions: [question] }, bytes, questionEnd, edns };
}

/** The first name of a message has nothing before it to point to, so it must be written out. */
function readQuestionName(bytes: Buffer): { text: string; end: number } | null {
  let offset = HEADER_BYTES;
  let text = "";
  for (;;) {
    const length = bytes[offset];
    if (length === undefined || length > 63) return null;
    offset++;
    if (length === 0) return { text, end: offset };
    if (offset + length > bytes.length || offset + length + 1 - HEADER_BYTES > NAME_BYTES_MAX) return null;
    if (text !== "") text += ".";
    for (const end = offset + length; offset < end; offset++) text += character(bytes[offset]!);
  }
}

function character(byte: number): string {
  const plain = byte > 0x20 && byte < 0x7f && byte !== 0x2e && byte !== 0x5c;
  return plain ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, "0")}`;
}

/** Where a name ends; -1 when it is broken. A pointer must lead back, and ends the name: it is never followed. */
function skipName(bytes: Buffer, start: number): number {
  for (let offset = start; offset < bytes.length; ) {
    const length = bytes[offset]!;
    if (length === 0) return offset + 1 - start <= NAME_BYTES_MAX ? offset + 1 : -1;
    if (length >= 0xc0) {
      const to = offset + 1 < bytes.length ? bytes.readUInt16BE(offset) & 0x3fff : -1;
      return to >= HEADER_BYTES && to < start ? offset + 2 : -1;
    }
    if (length > 63) return -1;
    offset += length + 1;
  }
  return -1;
}

/** Where `count` records from `start` end; -1 when one is broken or the bytes run out. */
function skipRecords(bytes: Buffer, start: number, count: number): number {
  let offset = start;
  for (let i = 0; i < count; i++) {
    const owner = skipName(bytes, offset);
    if (owner < 0 || owner + 10 > bytes.length) return -1;
    offset = owner + 10 + bytes.readUInt16BE(owner + 8);
    if (offset > bytes.length) return -1;
  }
  return offset;
}

export const Transport = { udp: "udp", tcp: "tcp" } as const;
export type Transport = (typeof Transport)[keyof typeof Transport];

/** How many bytes an answer may have on its way back. */
export function answerBytesMax(transport: Transport, edns: Edns | null): number {
  if (transport === Transport.tcp) return TCP_MESSAGE_MAX;
  return edns === null ? UDP_PAYLOAD_MIN : Math.min(Math.max(edns.payloadSize, UDP_PAYLOAD_MIN), UDP_PAYLOAD_MAX);
}

/** One scratch for all answers: a message is written and copied out within one call. */
const scratch = Buffer.allocUnsafeSlow(TCP_MESSAGE_MAX + 1);

/** Writes an answer. When it does not fit in `bytesMax`, none of its records are sent, and TC says to come by TCP. */
export function writeAnswer(
  asked: ReadMessage,
  answer: Answer,
  bytesMax: number,
): { bytes: Buffer; truncated: boolean } {
  const { edns, questionEnd } = asked;
  asked.bytes.copy(scratch, 0, 0, questionEnd);
  const limit = bytesMax - (edns === null ? 0 : OPT_BYTES);
  const name = asked.query.questions[0]?.name ?? "";
  let offset = questionEnd;
  for (const record of answer.answers) offset = writeRecord(record, name, offset, limit);
  for (const record of answer.authorities) offset = writeRecord(record, name, offset, limit);
  const truncated = offset < 0;
  const end = writeHeader(asked, answer.rcode, answer, truncated ? questionEnd : offset, truncated);
  return { bytes: Buffer.from(scratch.subarray(0, end)), truncated };
}

/** An answer without records: an error, or with `truncated` the request to come by TCP. */
export function writeBare(asked: ReadMessage, rcode: Rcode, truncated = false): Buffer {
  asked.bytes.copy(scratch, 0, 0, asked.questionEnd);
  return Buffer.from(scratch.subarray(0, writeHeader(asked, rcode, null, asked.questionEnd, truncated)));
}

/** Sets the header's bits and counts in the scratch, adds OPT, and returns where the message ends. */
function writeHeader(asked: ReadMessage, rcode: Rcode, answer: Answer | null, end: number, truncated: boolean): number {
  const { bytes, edns } = asked;
  const authoritative = answer?.authoritative === true ? 0x04 : 0;
  // QR, the same opcode and RD; RA stays clear, for nothing is ever looked up elsewhere.
  scratch[2] = 0x80 | (bytes[2]! & 0x79) | authoritative | (truncated ? 0x02 : 0);
  scratch[3] = rcode & 15;
  scratch.writeUInt16BE(asked.questionEnd > HEADER_BYTES ? 1 : 0, 4);
  scratch.writeUInt16BE(truncated ? 0 : (answer?.answers.length ?? 0), 6);
  scratch.writeUInt16BE(truncated ? 0 : (answer?.authorities.length ?? 0), 8);
  scratch.writeUInt16BE(edns === null ? 0 : 1, 10);
  if (edns === null) return end;
  scratch.fill(0, end, end + OPT_BYTES);
  scratch.writeUInt16BE(OPT, end + 1);
  scratch.writeUInt16BE(UDP_PAYLOAD_MAX, end + 3);
  scratch[end + 5] = rcode >> 4;
  if (edns.dnssecOk) scratch.writeUInt16BE(DNSSEC_OK, end + 7);
  return end + OPT_BYTES;
}

/** Writes one record at `offset` and returns where it ends; -1 when it does not fit or an earlier one did not. */
function writeRecord(record: ZoneRecord, asked: string, offset: number, limit: number): number {
  if (offset < 0) return -1;
  const data = record.type === "TXT" ? record.data.map((part) => Buffer.from(part)) : record.data;
  if (record.name === asked) {
    // The owner becomes a pointer to the question, in the letter case that was asked: dns-packet writes the root in one
    // byte, one further on, and the pointer's two bytes take its place.
    const shown = { ...record, data, name: "." };
    if (offset + 1 + packet.answer.encodingLength(shown) > limit) return -1;
    packet.answer.encode(shown, scratch, offset + 1);
    scratch.writeUInt16BE(0xc000 | HEADER_BYTES, offset);
    return offset + 1 + packet.answer.encode.bytes;
  }
  const shown = { ...record, data };
  if (offset + packet.answer.encodingLength(shown) > limit) return -1;
  packet.answer.encode(shown, scratch, offset);
  return offset + packet.answer.encode.bytes;
}
