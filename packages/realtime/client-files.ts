/**
 * The browser's client under the real-time path (`/socket.io/socket.io.js` and its kin), out of the installed package
 * `socket.io-client`. Where that is not installed, nothing is served.
 */
import { createReadStream, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const names: ReadonlySet<string> = new Set(
  ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"].flatMap((name) => [
    name,
    `${name}.map`,
  ]),
);

interface ClientPackage {
  readonly directory: string;
  readonly version: string;
}

/** As seen from the application first, then from here. */
function findClient(): ClientPackage | null {
  for (const from of [pathToFileURL(join(process.cwd(), "package.json")).href, import.meta.url]) {
    try {
      const file = createRequire(from).resolve("socket.io-client/package.json");
      const { version } = JSON.parse(readFileSync(file, "utf8")) as { version: string };
      return { directory: join(dirname(file), "dist"), version };
    } catch {
      // Not installed there.
    }
  }
  return null;
}

/** Answers requests for the client's files: false when the request is for something else. */
export function createClientFiles(): (path: string, request: IncomingMessage, response: ServerResponse) => boolean {
  let found: ClientPackage | null | undefined;
  return (path, request, response) => {
    const url = request.url ?? "";
    const name = url.slice(path.length + 1).split("?", 1)[0]!;
    if (!url.startsWith(`${path}/`) || !names.has(name)) return false;
    found ??= findClient();
    if (found === null) return false;
    serve(found, name, request, response);
    return true;
  };
}

function serve(client: ClientPackage, name: string, request: IncomingMessage, response: ServerResponse): void {
  const etag = `"${client.version}"`;
  const seen = request.headers["if-none-match"];
  response.setHeader("cache-control", "public, max-age=0");
  response.setHeader("etag", etag);
  if (seen === etag || seen === `W/${etag}`) {
    response.writeHead(304).end();
    return;
  }
  const type = name.endsWith(".map") ? "json" : "javascript";
  response.writeHead(200, { "content-type": `application/${type}; charset=utf-8` });
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  const file = createReadStream(join(client.directory, name));
  file.on("error", () => response.destroy());
  response.on("close", () => file.destroy());
  file.pipe(response);
}
