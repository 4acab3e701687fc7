/** What the transports count: plain integers, added to where things happen and read when somebody asks. */

export interface Counters {
  /* What has happened so far; only ever grows. */
  opened: number;
  closed: number;
  upgraded: number;
  /** Requests answered with an error of Engine.IO, those below included. */
  refused: number;
  /** Sessions refused because there are too many, in all or of one address. */
  refusedFull: number;
  slowConsumers: number;
  volatileDropped: number;
  /** Times that a client was read later because it sent too much. */
  throttled: number;
  packetsIn: number;
  packetsOut: number;
  /** Bytes of frames and payloads as they are on the wire, without heads of HTTP. */
  bytesIn: number;
  bytesOut: number;
  /** Requests to rooms over plain HTTP that were well formed, by what they want. */
  readonly roomRequests: { poll: number; longpoll: number; sse: number; publish: number };
  /** Events of rooms that their readers were given. */
  readonly roomEvents: { poll: number; longpoll: number; sse: number };
  /** Times that a reader was told that something is missing. */
  roomGaps: number;

  /* What is there now. */
  polling: number;
  webSockets: number;
  /** Streams of server-sent events. */
  sse: number;
  /** Polls of rooms that wait for an event. */
  longPolls: number;
  queuedPackets: number;
  queuedBytes: number;
}

export function makeCounters(): Counters {
  return {
    opened: 0,
    closed: 0,
    upgraded: 0,
    refused: 0,
    refusedFull: 0,
    slowConsumers: 0,
    volatileDropped: 0,
    throttled: 0,
    packetsIn: 0,
    packetsOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    roomRequests: { poll: 0, longpoll: 0, sse: 0, publish: 0 },
    roomEvents: { poll: 0, longpoll: 0, sse: 0 },
    roomGaps: 0,
    polling: 0,
    webSockets: 0,
    sse: 0,
    longPolls: 0,
    queuedPackets: 0,
    queuedBytes: 0,
  };
}

/** One session's share of the traffic: for the line that is logged when it is over, and for the sum of all. */
export class Meter {
  packetsIn = 0;
  packetsOut = 0;
  bytesIn = 0;
  bytesOut = 0;
  readonly #all: Counters;

  constructor(all: Counters) {
    this.#all = all;
  }

  came(bytes: number): void {
    this.bytesIn += bytes;
    this.#all.bytesIn += bytes;
  }

  tookPacket(): void {
    this.packetsIn++;
    this.#all.packetsIn++;
  }

  gave(packets: number, bytes: number): void {
    this.packetsOut += packets;
    this.bytesOut += bytes;
    this.#all.packetsOut += packets;
    this.#all.bytesOut += bytes;
  }
}
