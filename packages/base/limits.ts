/**
 * Every default bound of the system in one place, with its unit in its name. A room takes the ones that concern it as
 * an argument; nothing reads this table behind its caller's back.
 */
export const limits = Object.freeze({
  /** Fields in one head. */
  fieldsMax: 100,
  /** Bytes of one field line. */
  fieldBytesMax: 8 * 1024,
  /** Bytes of all field lines of a head together. */
  fieldsBytesMax: 16 * 1024,
  /** Bytes of a request target; longer is 414. */
  targetBytesMax: 8 * 1024,
  /** Bytes of a chunk-size line with its extensions. */
  chunkLineBytesMax: 256,
  /** Bytes of a body that one of our own handlers reads whole; forwarded bodies stream without a bound. */
  bodyBytesMax: 16 * 1024 * 1024,
  /** From the first byte of a request to the end of its head. */
  headTimeoutMs: 10_000,
  /** A body must make at least `bodyProgressBytes` within this time. */
  bodyProgressMs: 10_000,
  bodyProgressBytes: 10 * 1024,
  /** An idle keep-alive connection of a client. */
  idleTimeoutMs: 75_000,
  /**
   * Open connections of clients from one IPv4 address, or one /64 of IPv6: a hundred browsers behind one router, or a
   * thousand that hold one WebSocket each. Loopback and trusted proxies are not counted.
   */
  connectionsPerAddressMax: 1_024,
  /** An idle pooled connection to an upstream whose own limit is unknown. */
  upstreamIdleMs: 60_000,
  upstreamConnectMs: 3_000,
  upstreamFirstByteMs: 60_000,
  /** Between two pieces of a response's body; 0: streams may be silent for as long as they like. */
  upstreamBodyIdleMs: 0,
  /**
   * Open connections to one instance, those of upgraded protocols not counted. Many, for a client that sends or reads
   * slowly holds one as long as it is let: fewer than such clients may be, and they would keep the others out.
   */
  upstreamConnectionsMax: 8_192,
  /**
   * Share of an instance's connections, and of the requests it may have under way, for those whose body is still coming:
   * clients that dawdle over their bodies hold up each other, and nobody else.
   */
  upstreamUploadsShare: 0.5,
  /** Requests of one service that wait for an instance or a connection; beyond it the answer is 503 at once. */
  upstreamWaitersMax: 1_024,
  upstreamWaitMs: 5_000,
  retriesMax: 2,
  /** Share of recent requests that may be retries. */
  retryBudget: 0.2,
  /** Bytes of a request body kept for a retry; a larger body is not replayed. */
  replayBytesMax: 64 * 1024,
  /** Clients that a rate limit remembers; over it the one is forgotten that has most of its requests left. */
  rateKeysMax: 100_000,
  /** Bodies that are known to be shorter are not compressed. */
  compressBytesMin: 1024,
  /** Answers that are compressed as streams at the same time, some 1 MB each; further ones go as they are. */
  compressorsMax: 128,
  /** Bytes queued towards one real-time connection before volatile events are dropped, then the connection closed. */
  outQueueBytesMax: 1024 * 1024,
  /** Real-time sessions at once, of some 10 KB each. */
  sessionsMax: 100_000,
  /** Real-time sessions at once from one IPv4 address or one /64 of IPv6; those of private networks are not counted. */
  sessionsPerAddressMax: 1_024,
  /** Requests at once that read rooms over plain HTTP, polls and streams; a further one is told to come again. */
  roomReadersMax: 100_000,
  /** The same from one IPv4 address or one /64 of IPv6; those of private networks are not counted. */
  roomReadersPerAddressMax: 1_024,
  /** Events that one such address publishes in rooms over plain HTTP in a second; 429 beyond it. */
  roomPublishesPerSecondMax: 100,
  /** Events, and about so many bytes of them, in one answer to a poll of a room; the next poll gets the next ones. */
  pollEventsMax: 1_000,
  pollBytesMax: 1024 * 1024,
  /** Messages and their bytes per second that one real-time client is read at; one that sends more is read later. */
  eventsPerSecondMax: 10_000,
  eventBytesPerSecondMax: 32 * 1024 * 1024,
  /** Bytes of one Engine.IO payload or WebSocket message (socket.io's `maxHttpBufferSize`). */
  messageBytesMax: 1_000_000,
  /** Binary attachments of one Socket.IO packet. */
  attachmentsMax: 10,
  /** Connections of clients to one hub; a further one is closed at once, and tries again. */
  realtimeConnectionsMax: 250_000,
  /** Namespaces that one real-time connection is in; a CONNECT for one more ends the connection. */
  namespacesPerConnectionMax: 64,
  /** Rooms that one socket is in; it is not put into more, and its server is told so. */
  roomsPerSocketMax: 4_096,
  /** Bytes of client events that wait for a server during a handover, per socket; beyond it the connection is closed. */
  handoverQueueBytesMax: 1024 * 1024,
  /** How long a socket without a server waits for another. */
  handoverMs: 30_000,
  /** How long the stream keeps an event. */
  retentionMs: 24 * 60 * 60 * 1000,
  /** Bytes of events that one stream keeps on disk; the oldest go first. */
  retentionDiskBytes: 1024 * 1024 * 1024,
  /** Bytes of events that all streams together keep in memory; the oldest of the fullest stream go first. */
  retentionMemoryBytes: 64 * 1024 * 1024,
  /** How long somebody whose line was lost is still taken to be in a room. */
  presenceGraceMs: 10_000,
});

export type Limits = typeof limits;
