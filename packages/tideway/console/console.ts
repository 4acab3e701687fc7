/**
 * The console: the operator's page, on a port of its own, loopback unless told otherwise, behind a login. It shows what
 * `tideway status` says, live. Whoever can read the token's file in the data directory can log in.
 * Owns its sessions and its page; refuses requests under foreign names, so that no other page can reach it by DNS.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { isIP } from "node:net";
import { join } from "node:path";
import { type Clock, OperatorError } from "@tideway/base";
import { createServer } from "./http.ts";
import { hasToken, type MetricsAccess, MetricsPage, type Scrape } from "./metrics.ts";
import { loginPage, statusPage, statusScript, statusStyle } from "./page.ts";
import type { StatusReport } from "./report.ts";

const cookieName = "tideway_console";
const sessionMs = 12 * 60 * 60 * 1000;
const sessionsMax = 100;
const loginBytesMax = 4096;
/** Guesses per minute, over all addresses: the token has 192 bits, this only keeps the log short. */
const guessesPerMinute = 20;

export interface ConsoleOptions {
  readonly host: string;
  readonly port: number;
  readonly dataDirectory: string;
  readonly clock: Clock;
  readonly status: () => StatusReport;
  /** What `/metrics` answers, and to whom: holders of a token unless told otherwise. Left out, there is no such page. */
  readonly metrics?: { readonly access?: MetricsAccess; readonly scrape: Scrape };
}

export interface RunningConsole {
  readonly address: string;
  /** File that holds the login token. */
  readonly tokenFile: string;
  /** File that holds a token for `/metrics` alone: what a scraper is given. */
  readonly metricsTokenFile: string;
  /** From now on; for those who are asked by a configuration that has changed. */
  allowMetrics(access: MetricsAccess): void;
  close(): Promise<void>;
}

export async function startConsole(options: ConsoleOptions): Promise<RunningConsole> {
  const tokenFile = join(options.dataDirectory, "console-token");
  const metricsTokenFile = join(options.dataDirectory, "metrics-token");
  const pages = new ConsolePages(readToken(tokenFile), readToken(metricsTokenFile), options);
  const server = createServer((incoming, outgoing) => pages.answer(incoming, outgoing));
  await listen(server, options);
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : options.port;
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  return {
    address: `http://${host}:${port}/`,
    tokenFile,
    metricsTokenFile,
    allowMetrics: (access) => {
      pages.metricsAccess = access;
    },
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, options: ConsoleOptions): Promise<void> {
  return new Promise((done, failed) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === "EADDRINUSE";
      failed(
        !taken
          ? cause
          : new OperatorError("START_PORT_IN_USE", {
              where: `console.port, ${options.host}:${options.port}`,
              seen: "another program listens there",
              hint: "Set console: { port: … } in the configuration, or console: false for none.",
              cause,
            }),
      );
    });
    server.listen(options.port, options.host, () => done());
  });
}

/** The token lives as long as the data directory, so that a bookmark's login stays good over restarts. */
function readToken(file: string): string {
  if (existsSync(file)) {
    const token = readFileSync(file, "utf8").trim();
    if (token.length >= 32) return token;
  }
  const token = randomBytes(24).toString("base64url");
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  chmodSync(file, 0o600);
  return token;
}

interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly fields?: Readonly<Record<string, string>>;
}

const html = "text/html; charset=utf-8";
const tooMany: Page = { status: 429, type: "text/plain", body: "Too many attempts; wait a minute.\n" };
const tokenNeeded: Page = {
  status: 401,
  type: "text/plain",
  body: "Send the token of metrics-token in the data directory: Authorization: Bearer …\n",
  fields: { "www-authenticate": 'Bearer realm="tideway metrics"' },
};
const contentPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const digest = (text: string) => createHash("sha256").update(text).digest();

class ConsolePages {
  readonly #token: Buffer;
  readonly #metricsToken: Buffer;
  readonly #metrics: MetricsPage | null;
  metricsAccess: MetricsAccess;
  readonly #options: ConsoleOptions;
  /** Digest of a session's cookie → when it ends, on the monotonic clock. */
  readonly #sessions = new Map<string, number>();
  #guesses = 0;
  #guessesSince = 0;

  constructor(token: string, metricsToken: string, options: ConsoleOptions) {
    this.#token = digest(token);
    this.#metricsToken = digest(metricsToken);
    this.#metrics = options.metrics === undefined ? null : new MetricsPage(options.metrics.scrape);
    this.metricsAccess = options.metrics?.access ?? "token";
    this.#options = options;
  }

  answer(incoming: IncomingMessage, outgoing: ServerResponse): void {
    outgoing.setHeader("cache-control", "no-store");
    outgoing.setHeader("content-security-policy", contentPolicy);
    outgoing.setHeader("x-content-type-options", "nosniff");
    outgoing.setHeader("referrer-policy", "no-referrer");
    const path = (incoming.url ?? "/").split("?", 1)[0]!;
    if (path === "/login" && incoming.method === "POST" && this.#ownName(incoming)) this.#login(incoming, outgoing);
    else if (path === "/metrics" && this.#mayScrape(incoming)) void this.#metrics!.answer(incoming, outgoing);
    else send(outgoing, this.#page(incoming, path));
  }

  /** A name that is not the console's, or a method that changes things, is refused like for any other page. */
  #mayScrape(incoming: IncomingMessage): boolean {
    if (this.#metrics === null || !this.#ownName(incoming)) return false;
    if (incoming.method !== "GET" && incoming.method !== "HEAD") return false;
    if (this.metricsAccess === "open" || this.#known(incoming)) return true;
    return hasToken(incoming, [this.#token, this.#metricsToken], digest);
  }

  #page(incoming: IncomingMessage, path: string): Page {
    if (!this.#ownName(incoming)) return { status: 421, type: "text/plain", body: "This name is not the console's.\n" };
    if (path === "/console.css") return { status: 200, type: "text/css", body: statusStyle };
    if (incoming.method !== "GET" && incoming.method !== "HEAD") {
      return { status: 405, type: "text/plain", body: "GET only.\n" };
    }
    const known = this.#known(incoming);
    if (path === "/")
      return known
        ? { status: 200, type: html, body: statusPage }
        : { status: 401, type: html, body: loginPage(false) };
    if (!known && path === "/metrics" && this.#metrics !== null) return tokenNeeded;
    if (!known) return { status: 401, type: "text/plain", body: "Log in first.\n" };
    if (path === "/console.js") return { status: 200, type: "text/javascript", body: statusScript };
    if (path === "/status.json") {
      return { status: 200, type: "application/json", body: JSON.stringify(this.#options.status()) };
    }
    return { status: 404, type: "text/plain", body: "There is nothing at this address.\n" };
  }

  /** Addresses and localhost only, or the name that the console was told to listen on (DNS rebinding). */
  #ownName(incoming: IncomingMessage): boolean {
    const host = (incoming.headers.host ?? "").toLowerCase().replace(/:\d+$/, "");
    return host === "localhost" || host === this.#options.host || isIP(host.replace(/^\[|\]$/g, "")) !== 0;
  }

  #known(incoming: IncomingMessage): boolean {
    const cookie = new RegExp(`(?:^|;\\s*)${cookieName}=([\\w-]+)`).exec(incoming.headers.cookie ?? "")?.[1];
    if (cookie === undefined) return false;
    const ends = this.#sessions.get(digest(cookie).toString("hex"));
    return ends !== undefined && ends > this.#options.clock.now();
  }

  #login(incoming: IncomingMessage, outgoing: ServerResponse): void {
    let body = "";
    incoming.setEncoding("latin1");
    incoming.on("data", (piece: string) => {
      body += piece;
      if (body.length > loginBytesMax) incoming.destroy();
    });
    incoming.on("end", () => {
      const given = (new URLSearchParams(body).get("token") ?? "").trim();
      send(outgoing, this.#tooManyGuesses() ? tooMany : this.#judge(given, outgoing));
    });
  }

  #tooManyGuesses(): boolean {
    const now = this.#options.clock.now();
    if (now - this.#guessesSince > 60_000) {
      this.#guesses = 0;
      this.#guessesSince = now;
    }
    return ++this.#guesses > guessesPerMinute;
  }

  #judge(given: string, outgoing: ServerResponse): Page {
    if (!timingSafeEqual(digest(given), this.#token)) return { status: 401, type: html, body: loginPage(true) };
    const cookie = randomBytes(24).toString("base64url");
    this.#remember(digest(cookie).toString("hex"), this.#options.clock.now() + sessionMs);
    const attributes = `HttpOnly; SameSite=Strict; Path=/; Max-Age=${sessionMs / 1000}`;
    outgoing.setHeader("set-cookie", `${cookieName}=${cookie}; ${attributes}`);
    outgoing.setHeader("location", "/");
    return { status: 303, type: "text/plain", body: "Logged in.\n" };
  }

  #remember(session: string, ends: number): void {
    if (this.#sessions.size >= sessionsMax) this.#sessions.delete(this.#sessions.keys().next().value!);
    this.#sessions.set(session, ends);
  }
}

function send(outgoing: ServerResponse, page: Page): void {
  outgoing.writeHead(page.status, { "content-type": page.type, ...page.fields });
  outgoing.end(page.body);
}
