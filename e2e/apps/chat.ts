/**
 * An application for the tests: answers GET with its instance's name, and passes on to everybody in the room "all" what a client says, in
 * one synchronous handler.
 */
import { createServer } from "node:http";
import { Server } from "@tideway/realtime";

const http = createServer((request, response) => {
  request.resume();
  response.end(process.env["TIDEWAY_INSTANCE"]);
});
const io = new Server();
io.on("connection", (socket) => {
  socket.join("all");
  socket.on("say", (from: string, number: number) => {
    io.to("all").emit("said", from, number);
  });
});
http.listen(Number(process.env["PORT"]), "127.0.0.1");
process.on("SIGTERM", () => {
  http.close();
  http.closeIdleConnections();
  void io.close();
});
