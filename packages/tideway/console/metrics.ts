/**
 * `/metrics` of the console: who may read it, in which format it is sent, and how a long one leaves without holding up
 * requests. Owns no number: it is handed a function that scrapes.
 */
import { timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setImmediate as others } from "node:timers/promises";
import { type Exposition, type MetricsFormat, metricsContentTypes, metricsFormatFor } from "@tideway/engine/metrics";

/** Holders of a token (or a login), or everybody who reaches the console's port. */
export type MetricsAccess = "token" | "open";

/** Puts all that is known into a new exposition of that format, giving way to requests in between. */
export type Scrape = (format: MetricsFormat) => Promise<Exposition>;

/** Scrapes at once: more than a few scrapers are none. */
const scrapesMax = 4;

export class MetricsPage {
  readonly #scrape: Scrape;
  #running = 0;

  constructor(scrape: Scrape) {
    this.#scrape = scrape;
  }

  /** Whoever calls this has decided that the asker may read. */
  async answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    if (this.#running >= scrapesMax) {
      outgoing.writeHead(503, { "content-type": "text/plain", "retry-after": "1" });
      outgoing.end("Too many scrapes at once.\n");
      return;
    }
    this.#running++;
    try {
      const format = metricsFormatFor(incoming.headers.accept ?? "");
      const exposition = await this.#scrape(format);
      outgoing.writeHead(200, { "content-type": metricsContentTypes[format], vary: "accept" });
      if (incoming.method !== "HEAD") await send(exposition, outgoing);
      outgoing.end();
    } catch {
      // A reader who went away, or a source at fault: half an exposition must not look like a whole one.
      outgoing.destroy();
    } finally {
      this.#running--;
    }
  }
}

async function send(exposition: Exposition, outgoing: ServerResponse): Promise<void> {
  const gone = new AbortController();
  outgoing.once("close", () => gone.abort());
  for (const piece of exposition.pieces()) {
    if (!outgoing.write(piece)) await once(outgoing, "drain", { signal: gone.signal });
    await others();
  }
}

/** True for `Authorization: Bearer` with one of the tokens, given as their digests. */
export function hasToken(
  incoming: IncomingMessage,
  tokens: readonly Buffer[],
  digest: (text: string) => Buffer,
): boolean {
  const given = /^bearer +(\S+)$/i.exec(incoming.headers.authorization ?? "")?.[1];
  if (given === undefined) return false;
  const found = digest(given);
  return tokens.some((token) => timingSafeEqual(found, token));
}
