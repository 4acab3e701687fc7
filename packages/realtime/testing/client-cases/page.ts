/** The client cases for a browser: an empty page, and the cases' own files as the scripts that they are. */
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { stripTypeScriptTypes } from "node:module";

const scripts: ReadonlySet<string> = new Set(["cases.ts", "events.ts", "lines.ts", "visit.ts"]);

/** Answers every request that is none of Socket.IO's: `/cases.html`, and the scripts beside it. */
export function servePage(request: IncomingMessage, response: ServerResponse): void {
  const name = (request.url ?? "").slice(1);
  if (name === "cases.html") {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    response.end("<!doctype html><title>cases</title>");
  } else if (scripts.has(name)) {
    response.writeHead(200, { "content-type": "text/javascript; charset=utf-8" });
    response.end(stripTypeScriptTypes(readFileSync(new URL(name, import.meta.url), "utf8")));
  } else {
    response.writeHead(name === "" ? 200 : 404).end();
  }
}
