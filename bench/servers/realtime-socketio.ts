/** Socket.IO with its default options: one room, to which whatever a sender says is emitted; questions are answered. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server } from "socket.io";
import { announce } from "./announce.ts";

const server = createServer();
const io = new Server(server);
io.on("connection", (socket) => {
  socket.on("say", (text: string) => io.to("lobby").emit("post", text));
  socket.on("echo", (text: string, answer: (text: string) => void) => answer(text));
  if (socket.handshake.query["role"] !== "sender") socket.join("lobby");
  socket.emit("ready");
});
server.listen(0, "127.0.0.1", () => announce((server.address() as AddressInfo).port));
