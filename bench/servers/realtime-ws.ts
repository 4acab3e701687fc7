/** `ws` alone, as its documentation shows a broadcast and a heartbeat: no rooms, no protocol above WebSocket. */
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { announce } from "./announce.ts";

const heartbeatMs = 25_000;

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
const lobby = new Set<WebSocket>();
const alive = new WeakSet<WebSocket>();
server.on("connection", (socket, request) => {
  socket.on("error", () => socket.terminate());
  socket.on("close", () => lobby.delete(socket));
  socket.on("pong", () => alive.add(socket));
  socket.on("message", (data, isBinary) => {
    for (const client of lobby) {
      if (client.readyState === WebSocket.OPEN) client.send(data, { binary: isBinary });
    }
  });
  alive.add(socket);
  if (!request.url?.includes("role=sender")) lobby.add(socket);
  socket.send("ready");
});
setInterval(() => {
  for (const socket of server.clients) {
    if (!alive.delete(socket)) socket.terminate();
    else socket.ping();
  }
}, heartbeatMs);
server.on("listening", () => announce((server.address() as AddressInfo).port));
