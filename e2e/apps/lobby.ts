/** An application for the tests: who is in the lobby, as this process knows it; the first of all processes tells everybody. */
import { createServer } from "node:http";
import { presence, Server } from "@tideway/realtime";

const http = createServer((_request, response) => void response.end());
const io = new Server(http);
io.on("connection", (socket) => {
  socket.data.user = socket.handshake.auth["user"];
  if (socket.data.user !== undefined) socket.join("lobby");
  socket.on("who", (done) => done(process.env["TIDEWAY_INSTANCE"], lobby.members));
});
const lobby = presence(io, "lobby", { by: "user", graceMs: 20_000 });
lobby.on("join", (user, first) => first && io.emit("told", `+${user}`));
lobby.on("leave", (user, first) => first && io.emit("told", `-${user}`));
http.listen(Number(process.env["PORT"]));
