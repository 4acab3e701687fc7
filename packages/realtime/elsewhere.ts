/**
 * Answers real-time requests that reach a process whose clients are at Tideway's edge: a route leads them to the wrong
 * service, or somebody asked the process itself. Says so, to the client and once to the operator.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Answerer } from "./attach.ts";

export function createElsewhere(path: string): Answerer {
  const text = `Tideway's edge answers real-time clients, not this process: route ${path} to its realtime service.\n`;
  let warned = false;
  const warn = () => {
    if (warned) return;
    warned = true;
    process.emitWarning(`a real-time request came to this process: ${text.trim()}`, {
      code: "TIDEWAY_ROUTE",
      detail:
        'In tideway.config.ts: "/socket.io": "live". For a hub of this process\'s own: new Server(http, { link: "" }).',
    });
  };
  return {
    request(request: IncomingMessage, response: ServerResponse) {
      warn();
      request.resume();
      response.writeHead(421, { "content-type": "text/plain; charset=utf-8" });
      response.end(text);
    },
    upgrade(_request: IncomingMessage, stream: Duplex) {
      warn();
      stream.on("error", () => {});
      stream.end(
        `HTTP/1.1 421 Misdirected Request\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
      );
    },
  };
}
