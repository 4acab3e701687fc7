// A room that any HTTP client can read and publish in: EventSource, curl, a long poll. No client library. Run: node server.ts
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Server } from "@tideway/realtime";

const page = readFileSync(new URL("./news.html", import.meta.url));

const server = createServer((request, response) => {
  const found = request.url === "/";
  response.writeHead(found ? 200 : 404, { "content-type": "text/html; charset=utf-8" });
  response.end(found ? page : "There is nothing here.\n");
});

// The last events are kept in memory, so that whoever was away for a while gets what it missed.
const io = new Server(server, { durability: "memory" });

// Anybody may read; only who has the word may publish, and nothing but headlines. Everything else is not there: 404.
io.open("news", {
  read: true,
  publish: (handshake, _room, event) => event === "headline" && handshake.headers.authorization === "Bearer ink",
});

// Stock socket.io clients hear the same events, with the same offsets: they join by `tideway:join`, or are put in.
io.on("connection", (socket) => socket.join("news"));

server.listen(Number(process.env.PORT ?? 7777), "127.0.0.1", () => {
  const address = server.address();
  if (typeof address !== "object") return;
  const room = `http://127.0.0.1:${address?.port}/socket.io/rooms/news/events`;
  console.log(`http://127.0.0.1:${address?.port}/
read as it comes   curl -N -H 'Accept: text/event-stream' ${room}
read what was      curl '${room}?after=0'
wait for the next  curl '${room}?wait=25'
publish, once      curl ${room} -H 'Authorization: Bearer ink' -H 'Content-Type: application/json' \\
                     -H "Idempotency-Key: $(uuidgen)" -d '{"event":"headline","args":["The tide turns at six"]}'`);
});

process.once("SIGTERM", () => io.close());
