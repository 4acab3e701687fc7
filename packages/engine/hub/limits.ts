/** The hub's bounds, with their units; those that others share come from `base`. */
import { limits } from "@tideway/base";

export const hubLimits = Object.freeze({
  /** Attachments of one packet, from clients; a packet that announces more ends the connection. */
  attachmentsMax: limits.attachmentsMax,
  /** Connections of clients at once; a further one is closed at once, and the stock client tries again later. */
  connectionsMax: limits.realtimeConnectionsMax,
  /** UTF-16 units of a namespace's name, as a client may send it. */
  namespaceLengthMax: 512,
  /** Namespaces that one connection may be in, or be waiting for, at once; the CONNECT for one more ends the connection. */
  namespacesPerConnectionMax: limits.namespacesPerConnectionMax,
  /** Rooms that one socket is in beside its own; it is not put into further ones, and its server is told so. */
  roomsPerSocketMax: limits.roomsPerSocketMax,
  /** Rooms whose presence is watched at once; a further one is not, and the log says so. */
  watchedRoomsMax: 100_000,
  /** Bytes of client events that wait for a server during a handover, per socket; beyond it the connection is closed. */
  handoverQueueBytesMax: limits.handoverQueueBytesMax,
  /** Bytes of client events that one server has got and not yet handled; beyond it the sender's connection is closed. */
  unhandledBytesMax: 64 * 1024 * 1024,
  /** Bytes held back from one client until its CONNECT is answered; beyond it the connection is closed. */
  holdBackBytesMax: limits.outQueueBytesMax / 2,
  /** Bytes of one emit; a larger one is refused as TOO_LARGE. */
  emitBytesMax: 16 * 1024 * 1024,
  /** Bytes of a namespace's emits that wait for the store; beyond it emits are refused as STORE_FULL. */
  pendingBytesMax: 64 * 1024 * 1024,
  /** UTF-16 units of `socket.data` as JSON; a larger one is not kept. */
  dataLengthMax: 64 * 1024,
  /** Answers that the client of one socket waits for; beyond it the oldest is forgotten, and if it is given after all, the line ends. */
  acknowledgementsMax: 10_000,
  /** Emits of one server that wait for clients' answers; beyond it the oldest is given up. */
  answersMax: 10_000,
  /** Server-side emits of one server that wait for other servers' answers; beyond it the oldest is given up. */
  serverAnswersMax: 10_000,
  /** Bytes of missed events that a client is sent on recovery; beyond it the session is not recovered. */
  recoveryBytesMax: limits.outQueueBytesMax / 2,
  /** Bytes of the last events of all streams that are kept at hand for clients that come back soon. */
  recentBytesMax: 8 * 1024 * 1024,
  /** Events that one recovery looks at; beyond it the session is not recovered. */
  recoveryEventsMax: 100_000,
  /** Events that one recovery reads at a time. */
  recoveryReadEvents: 1_000,
  /** Memberships that have ended and are still remembered, per session. */
  pastMembershipsMax: 32,
  /** Units of a session's private id, as a client may send it. */
  pidLengthMax: 64,
  /** Clients' requests that wait for a server's word; one more is given up at once. */
  requestQuestionsMax: 10_000,
  /** Questions about rooms over plain HTTP that wait for a server; one more is told to come again. */
  roomQuestionsMax: 10_000,
  /** How long one waits; then its client is told to come again. */
  roomQuestionMs: 10_000,
  /** Answers that hold for every client, and are not asked for again. */
  roomVerdictsMax: 10_000,
  /** Places of events published with a key, where no store keeps them. */
  roomKeysMax: 10_000,
  /** Reads of the store for readers of rooms that run at once; the others wait. */
  roomReadsMax: 8,
  /** Events that one such read takes. */
  roomReadEvents: 256,
  /** A living session's record is written again after this time, so that the store does not take it for old. */
  sessionRefreshMs: limits.retentionMs / 4,
});

export type HubLimits = { readonly [name in keyof typeof hubLimits]: number };
