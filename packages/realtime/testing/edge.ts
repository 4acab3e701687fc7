/**
 * For tests: Tideway's edge on an http.Server of the test's (hub, transports and link), and servers that join it as
 * application processes do.
 */
import { mkdtempSync, rmSync } from "node:fs";
import type { Server as HttpServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@tideway/base";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import { createLinkServer, type LinkServer } from "@tideway/edge/link";
import { createTransports, type Transports } from "@tideway/edge/transports";
import { Hub, MemoryStore } from "@tideway/engine/hub";
import { attachmentOf, attachTo } from "../attach.ts";
import { Engine } from "../engine.ts";
import { Server, type ServerOptions } from "../index.ts";
import { Intake } from "../intake.ts";
import { transportsOptions } from "../transport-options.ts";

const edges = new WeakMap<HttpServer, Edge>();

export class Edge {
  readonly address: string;
  readonly #http: HttpServer;
  readonly #hub: Hub;
  readonly #transports: Transports;
  readonly #link: Promise<LinkServer>;
  readonly #directory: string;
  readonly #options: Partial<ServerOptions>;

  /** `options` are those of the application that the configuration has, too. */
  static open(http: HttpServer, options: Partial<ServerOptions> = {}): Edge {
    return new Edge(http, options);
  }

  static of(http: HttpServer): Edge | undefined {
    return edges.get(http);
  }

  private constructor(http: HttpServer, options: Partial<ServerOptions>) {
    edges.set(http, this);
    this.#http = http;
    this.#options = options;
    this.#directory = mkdtempSync(join(tmpdir(), "tideway-edge-"));
    const socket = join(this.#directory, "link");
    this.address = `unix:${socket}`;
    const common = { clock: systemClock, random: systemRandom, logger: silentLogger };
    const keeps = options.connectionStateRecovery !== undefined;
    const hub = new Hub({
      ...common,
      store: keeps ? new MemoryStore(common) : null,
      ...(options.connectTimeout === undefined ? {} : { connectTimeoutMs: options.connectTimeout }),
    });
    this.#hub = hub;
    // What the configuration has to say; the rest is the application's to wish for.
    const { addTrailingSlash, serveClient, destroyUpgrade, perMessageDeflate, httpCompression } = options;
    const configured = { addTrailingSlash, serveClient, destroyUpgrade, perMessageDeflate, httpCompression };
    const given = Object.fromEntries(Object.entries(configured).filter(([, value]) => value !== undefined));
    const path = (options.path ?? "/socket.io").replace(/\/$/, "");
    this.#transports = createTransports({
      ...transportsOptions({ ...given, path }, () => undefined),
      ...common,
      door: hub.door,
      rooms: hub.rooms,
      open: (line, handshake, _id, question) => hub.open(line, handshake, question),
    });
    attachTo(http, attachmentOf({ ...given, path }, new Intake(new Engine({}, () => 0), this.#transports)));
    this.#link = createLinkServer({
      path: socket,
      attach: (server) => hub.attach(server),
      clock: systemClock,
      logger: silentLogger,
    });
  }

  /** An application's server. */
  join(): Server {
    return new Server({ ...this.#options, link: this.address });
  }

  async close(): Promise<void> {
    this.#transports.close();
    this.#hub.close();
    await (await this.#link).close();
    rmSync(this.#directory, { recursive: true, force: true });
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }
}
