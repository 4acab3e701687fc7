/**
 * An application behind Tideway whose events are counted by its clients: what the speaker says is published to the room once,
 * however often it is said, and answered when it is committed. Each client is told when it is held by a process.
 */
import { createServer } from "node:http";
import { Server } from "@tideway/realtime";

const http = createServer((request, response) => {
  request.resume();
  response.end("hello");
});
const io = new Server();
io.on("connection", (socket) => {
  socket.on("say", (text: string, done: () => void) => {
    // Not answered when the hub is gone meanwhile: the stock client says it again.
    io.to("lobby")
      .idempotencyKey(text)
      .publish("post", text)
      .then(
        () => done(),
        () => {},
      );
  });
  if (socket.handshake.query["role"] !== "speaker") socket.join("lobby");
  // Not an event of the ledger: it is not kept, so that a return has no more to look through than what was said.
  socket.volatile.emit("here");
});
http.listen(Number(process.env["PORT"]), "127.0.0.1");
process.on("SIGTERM", () => {
  http.close();
  http.closeIdleConnections();
  void io.close();
});
