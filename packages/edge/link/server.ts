/**
 * The hub's side of the link: listens on a Unix socket and gives each application process that connects a seat at the
 * hub. Owns the socket's file; refuses to know what a hub does.
 *
 * The file is made with mode 0600: whoever may open it may speak for an application. A file left behind by a killed
 * process is removed; one that somebody still listens on is not.
 */
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import type { Clock, Logger } from "@tideway/base";
import { OperatorError } from "@tideway/base";
import { Line, LineEnd, type LinkLimits, linkLimits } from "./line.ts";
import type { HubPort, ServerPort, ToHub, ToServer } from "./messages.ts";
import { toHubShapes } from "./shapes.ts";

/** A Unix socket's address holds about 108 bytes; Linux cuts longer ones without a word. */
const pathBytesMax = 100;

export interface LinkServerOptions {
  /** Where the socket's file goes: at most 100 bytes, in a directory that exists. */
  readonly path: string;
  /** Called for each server that connects; what it returns gets the server's messages. */
  readonly attach: (server: ServerPort) => HubPort;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: LinkLimits;
}

export interface LinkServer {
  /** What `TIDEWAY_LINK` should say: `unix:` and the path. */
  readonly address: string;
  /** Closes every line and removes the file. */
  close(): Promise<void>;
}

export async function createLinkServer(options: LinkServerOptions): Promise<LinkServer> {
  const { path } = options;
  if (Buffer.byteLength(path) > pathBytesMax) {
    throw new OperatorError("START_DATA_UNUSABLE", {
      where: "path of the link's socket",
      seen: `${Buffer.byteLength(path)} bytes: ${path}`,
      allowed: `at most ${pathBytesMax} bytes`,
      hint: "Choose a shorter data directory.",
    });
  }
  await removeStale(path);
  const lines = new Set<{ close(): void }>();
  const server = createServer((socket) => {
    const line = serve(socket, options, () => lines.delete(line));
    lines.add(line);
  });
  await listenPrivately(server, path);
  server.on("error", (error) => options.logger.error({ err: error, path }, "link: listening failed"));
  return {
    address: `unix:${path}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const line of [...lines]) line.close();
      }),
  };
}

function serve(socket: Socket, options: LinkServerOptions, onEnd: () => void): Line<ToHub, ToServer> {
  let port: HubPort | null = null;
  const line: Line<ToHub, ToServer> = new Line(
    socket,
    options.clock,
    options.limits ?? linkLimits,
    toHubShapes,
    false,
    {
      onOpen() {
        port = options.attach({ send: (message) => line.send(message) });
      },
      onBatch(messages) {
        for (const message of messages) port?.send(message);
      },
      onEnd(why, detail) {
        onEnd();
        const quiet = why === LineEnd.own || why === LineEnd.closed;
        if (quiet) options.logger.info({ why, detail }, "link: a server's line ended");
        else options.logger.error({ why, detail }, "link: a server's line was cut; its sockets go to another server");
        port?.gone();
      },
    },
  );
  return line;
}

/** Made under a umask, so that there is no moment at which others could open it. */
function listenPrivately(server: ReturnType<typeof createServer>, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const before = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off("error", reject);
        chmodSync(path, 0o600);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new OperatorError("START_DATA_UNUSABLE", {
      where: path,
      seen: "a file that is not a socket",
      allowed: "nothing, or a socket that a killed process left",
      hint: "Move the file away, or choose another data directory.",
    });
  }
  if (await answers(path)) {
    throw new OperatorError("START_ALREADY_RUNNING", {
      where: path,
      seen: "another process listens on this socket",
      hint: "Stop it, or choose another data directory.",
    });
  }
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
}
