/**
 * Puts the real-time transports in front of an http.Server's own listeners: requests under the real-time path go to the
 * transports, all others to whoever listened before (an Express application, for example), as Engine.IO's attach does.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { createClientFiles } from "./client-files.ts";
import type { ServerOptions } from "./options.ts";

/** The slice of http.Server and https.Server that is used. */
export interface RequestSource {
  listeners(event: "request"): ((...args: never[]) => unknown)[];
  removeAllListeners(event: "request"): unknown;
  on(event: "request", listener: (request: IncomingMessage, response: ServerResponse) => void): unknown;
  on(event: "upgrade", listener: (request: IncomingMessage, stream: Duplex, head: Buffer) => void): unknown;
}

/** Who answers requests under the real-time path. */
export interface Answerer {
  request(request: IncomingMessage, response: ServerResponse): void;
  upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void;
}

export interface Attachment {
  /** Without a slash at its end. */
  readonly path: string;
  /** Whether requests must have a slash behind the path. */
  readonly trailingSlash: boolean;
  readonly servesClient: boolean;
  /** Whether an upgrade that nobody answers is closed, and after how many ms. */
  readonly destroysUpgrades: boolean;
  readonly destroyUpgradesMs: number;
  readonly answerer: Answerer;
}

/** How a server with these options stands in front of an http.Server. */
export function attachmentOf(
  options: Partial<ServerOptions> & { readonly path: string },
  answerer: Answerer,
): Attachment {
  return {
    path: options.path,
    trailingSlash: options.addTrailingSlash !== false,
    servesClient: options.serveClient !== false,
    destroysUpgrades: options.destroyUpgrade !== false,
    destroyUpgradesMs: options.destroyUpgradeTimeout ?? 1_000,
    answerer,
  };
}

export function attachTo(server: RequestSource, attachment: Attachment): void {
  const { path, answerer } = attachment;
  const prefix = attachment.trailingSlash ? `${path}/` : path;
  const isOurs = (request: IncomingMessage) => request.url?.startsWith(prefix) === true;
  const clientFiles = attachment.servesClient ? createClientFiles() : null;
  const others = server.listeners("request");
  server.removeAllListeners("request");
  server.on("request", (request, response) => {
    if (clientFiles?.(path, request, response) === true) return;
    if (isOurs(request)) answerer.request(request, response);
    else for (const listener of others) Reflect.apply(listener, server, [request, response]);
  });
  server.on("upgrade", (request, stream, head) => {
    if (isOurs(request)) {
      answerer.upgrade(request, stream, head);
      return;
    }
    if (!attachment.destroysUpgrades) return;
    // Without a listener Node closes such connections. Now that there is one, ours must, unless another one answers.
    const timer = setTimeout(() => {
      if (!stream.writable || (stream as Duplex & { bytesWritten?: number }).bytesWritten !== 0) return;
      stream.on("error", ignore);
      stream.end();
    }, attachment.destroyUpgradesMs);
    timer.unref();
    stream.on("close", () => clearTimeout(timer));
  });
}

function ignore(): void {}
