/**
 * The live line: connects, says how it stands, and feeds the timeline. Connects first and reads afterwards, so that
 * nothing falls between; a line that was recovered has filled its gap itself.
 */
import { signal } from "@preact/signals";
import { io } from "socket.io-client";
import { type Post, PostEvent } from "../../contract.ts";
import { receive, reload, retryFailedDrafts } from "./timeline/store.ts";

export const Line = { connecting: "connecting", live: "live", offline: "offline" } as const;
export type Line = (typeof Line)[keyof typeof Line];

export const line = signal<Line>(Line.connecting);

/** After so many failed attempts it is no longer a hiccup. */
const OFFLINE_AFTER_ATTEMPTS = 3;

export function goLive(): void {
  const socket = io({ reconnectionDelay: 300, reconnectionDelayMax: 3000, timeout: 8000 });

  socket.on("connect", () => {
    line.value = Line.live;
    if (!socket.recovered) void reload();
    retryFailedDrafts();
  });
  socket.on("disconnect", (reason) => {
    line.value = navigator.onLine ? Line.connecting : Line.offline;
    // The stock client takes this one as a wish to stay away.
    if (reason === "io server disconnect") socket.connect();
  });
  socket.io.on("reconnect_attempt", (attempt) => {
    line.value = navigator.onLine && attempt <= OFFLINE_AFTER_ATTEMPTS ? Line.connecting : Line.offline;
  });
  window.addEventListener("offline", () => {
    if (!socket.connected) line.value = Line.offline;
  });
  window.addEventListener("online", () => {
    if (!socket.connected) line.value = Line.connecting;
    retryFailedDrafts();
  });

  socket.on(PostEvent.created, (post: Post, about: { key: string | null }) => receive(post, about.key));
  socket.on(PostEvent.changed, (post: Post) => receive(post));
  socket.on(PostEvent.deleted, (post: Post) => receive(post));
  socket.on(PostEvent.restored, (post: Post) => receive(post));
}
