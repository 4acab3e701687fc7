/**
 * Tideway's library: one room, to which whatever a sender says is emitted; questions are answered. Default options, unless an
 * argument says how durable events are; a folder for them follows.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Durability, Server } from "@tideway/realtime";
import { announce } from "./announce.ts";

const server = createServer();
const [durability, data] = process.argv.slice(2);
const stream = durability === undefined ? {} : { durability: durability as Durability };
const io = new Server(server, { ...stream, ...(data === undefined ? {} : { data }) });
io.on("connection", (socket) => {
  socket.on("say", (text: string) => io.to("lobby").emit("post", text));
  socket.on("echo", (text: string, answer: (text: string) => void) => answer(text));
  if (socket.handshake.query["role"] !== "sender") socket.join("lobby");
  socket.emit("ready");
});
server.listen(0, "127.0.0.1", () => announce((server.address() as AddressInfo).port));
