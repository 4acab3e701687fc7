/**
 * The way to a hub, and the one over a link: to the edge's hub, in a process that Tideway started. The other, a hub of our
 * own, is in `own-hub.ts`.
 */
import { flushCompileCache } from "node:module";
import { silentLogger } from "@tideway/base";
import { systemClock } from "@tideway/edge/clock";
import { connectLink, LinkState } from "@tideway/edge/link";
import { attachmentOf, attachTo, type RequestSource } from "./attach.ts";
import { createElsewhere } from "./elsewhere.ts";
import type { LocalLine } from "./local-line.ts";
import type { ServerOptions } from "./options.ts";
import type { RawSocket } from "./raw-socket.ts";
import type { HubSession, Uplink } from "./session.ts";

export interface Backend {
  readonly uplink: Uplink;
  /** The line of that id, when it is in this process. */
  line(id: string): LocalLine | null;
  /** Takes a socket of another Engine.IO server. */
  openRaw(socket: RawSocket): void;
  /** Serves clients on this http.Server too. */
  attach(server: RequestSource): void;
  /** The sockets will be let go: from now on nothing new is taken. */
  leaving(): void;
  close(): Promise<void>;
}

export interface HubEvents {
  /** It is there, for the first time or again. */
  onJoined(): void;
  /** It was there and is no longer. */
  onLost(): void;
}

/** How long after this process has joined its compiled code is written, where Tideway, or somebody else, has it kept. */
const keepCompiledMs = 1_000;

/** Joins the hub at `address`. */
export function joinHub(
  session: HubSession,
  address: string,
  options: Partial<ServerOptions> & { readonly path: string },
  events: HubEvents,
): Backend {
  const elsewhere = createElsewhere(options.path);
  let joined = false;
  const link = connectLink({
    address,
    instance: options.instance ?? process.env["TIDEWAY_INSTANCE"] ?? `pid ${process.pid}`,
    server: session,
    onState(state) {
      if (state === LinkState.down) events.onLost();
      if (state !== LinkState.open) return;
      // Before requests are let in: one to a room would find that nobody has opened any.
      session.joined();
      events.onJoined();
      // Otherwise an orderly end writes it, and many an application ends by a signal.
      if (!joined) setTimeout(flushCompileCache, keepCompiledMs).unref();
      joined = true;
    },
    clock: systemClock,
    logger: options.logger ?? silentLogger,
  });
  return {
    uplink: {
      get open() {
        return link.state === LinkState.open;
      },
      send: (message) => link.send(message),
    },
    line: () => null,
    openRaw() {
      throw new Error(
        "this server has joined Tideway's hub (TIDEWAY_LINK): it has no hub for sockets of another engine",
      );
    },
    // For the browser's client, which the edge asks for here.
    attach: (server) => attachTo(server, attachmentOf(options, elsewhere)),
    leaving: () => link.send({ type: "leaving" }),
    async close() {
      // The clients stay, and only this process can answer what it was asked.
      await session.owed.settled();
      await link.close();
    },
  };
}
