/** How a line may be watched: shapes only. */
import type { Line, Outgoing } from "@tideway/engine/hub";
import type { EnginePacket } from "@tideway/wire/engineio";

/** Somebody who wants to see what passes on one line: Engine.IO's packets, as `socket.conn` of Socket.IO shows them. */
export interface LineObserver {
  onReceived(packet: EnginePacket): void;
  /** Queued for the client. */
  onQueued(packet: Outgoing): void;
  onBeat(): void;
  /** The transport has been given all that was queued, or (polling) what fits one payload. */
  onFlushed(): void;
  /** The client tries the WebSocket that it may move to. */
  onUpgrading(): void;
}

/** A line that can be watched, by one observer at a time. */
export interface WatchableLine extends Line {
  watch(observer: LineObserver | null): void;
}
