/** An application behind Tideway: answers GET, and passes on to its room what a client says. Ends when it is asked to. */
import { createServer } from "node:http";
import { Server } from "@tideway/realtime";

const http = createServer((request, response) => {
  request.resume();
  response.end("hello");
});
const io = new Server();
io.on("connection", (socket) => {
  socket.on("say", (text: string) => io.to("lobby").emit("post", text));
  socket.join("lobby");
  socket.emit("ready");
});
http.listen(Number(process.env["PORT"]), "127.0.0.1");
process.on("SIGTERM", () => {
  http.close();
  http.closeIdleConnections();
  void io.close();
});
