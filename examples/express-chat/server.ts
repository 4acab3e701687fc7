// An Express 5 application with real time attached: named users, rooms, who is there. Run: node server.ts
import { createServer } from "node:http";
import { Server } from "@tideway/realtime";
import express from "express";

interface ClientToServer {
  join: (room: string, done: (names: string[]) => void) => void;
  say: (room: string, text: string) => void;
}
interface ServerToClient {
  came: (room: string, name: string) => void;
  said: (room: string, name: string, text: string) => void;
}
interface Person {
  name: string;
}

const app = express();
const server = createServer(app);
const io = new Server<ClientToServer, ServerToClient, Record<string, never>, Person>(server);

app.use(express.json());

app.get("/", (_request, response) => {
  response.send("A chat over Socket.IO: connect with socket.io-client and { auth: { name } }.\n");
});

app.get("/rooms/:room", async (request, response) => {
  const sockets = await io.in(request.params.room).fetchSockets();
  response.json({ room: request.params.room, names: sockets.map((socket) => socket.data.name) });
});

// Any part of the application may speak into a room.
app.post("/rooms/:room", (request, response) => {
  io.to(request.params.room).emit("said", request.params.room, "the house", String(request.body?.text));
  response.status(202).end();
});

io.use((socket, next) => {
  const { name } = socket.handshake.auth;
  if (typeof name !== "string" || name === "") return next(new Error("a name is needed"));
  socket.data.name = name;
  next();
});

io.on("connection", (socket) => {
  socket.on("join", async (room, done) => {
    socket.join(room);
    socket.to(room).emit("came", room, socket.data.name);
    const sockets = await io.in(room).fetchSockets();
    done(sockets.map((other) => other.data.name));
  });

  socket.on("say", (room, text) => {
    if (socket.rooms.has(room)) io.to(room).emit("said", room, socket.data.name, text);
  });
});

server.listen(Number(process.env.PORT ?? 7777), "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object") console.log(`http://127.0.0.1:${address?.port}/`);
});

process.once("SIGTERM", () => io.close());
