// Node's own http.Server, with real time attached. Run: node server.ts
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { Server } from "@tideway/realtime";

const page = readFileSync(new URL("./chat.html", import.meta.url));

const server = createServer((request, response) => {
  if (request.url === "/") {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(page);
  } else if (request.url === "/getSecretData") {
    response
      .writeHead(200, { "content-type": "application/json" })
      .end(JSON.stringify({ secret: "the tide turns at six" }));
  } else {
    response
      .writeHead(404, { "content-type": "text/plain; charset=utf-8" })
      .end(`There is nothing at ${request.url}\n`);
  }
});

const io = new Server(server);

io.on("connection", (socket) => {
  socket.join("lobby");
  socket.to("lobby").emit("came", socket.id);

  // The client's callback gets what `done` is called with.
  socket.on("say", (text: unknown, done: (ok: boolean) => void) => {
    if (typeof text !== "string" || text.length > 500) return done(false);
    io.to("lobby").emit("said", { from: socket.id, text });
    done(true);
  });

  socket.on("disconnect", () => io.to("lobby").emit("left", socket.id));
});

server.listen(Number(process.env.PORT ?? 7777), "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object") console.log(`http://127.0.0.1:${address?.port}/`);
});

process.once("SIGTERM", () => io.close());
