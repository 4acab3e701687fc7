/** Typed events: what must compile does, and what must not is marked, so that the compiler is the one that tests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DefaultEventsMap, RemoteSocket, Server, Socket } from "./index.ts";

interface ClientToServer {
  say: (text: string, done: (ok: boolean) => void) => void;
  plain: (n: number) => void;
}
interface ServerToClient {
  said: (from: string, text: string) => void;
  ask: (question: string, done: (answer: number) => void) => void;
}
interface ServerToServer {
  refresh: (key: string) => void;
  count: (done: (count: number) => void) => void;
}
interface Data {
  name: string;
}

test("events, acknowledgements and data have the types that the four parameters give", async () => {
  // Never called: only compiled.
  const compiled = async (io: Server<ClientToServer, ServerToClient, DefaultEventsMap, Data>) => {
    io.use((socket, next) => {
      socket.data.name = "x";
      // @ts-expect-error a number is no name
      socket.data.name = 7;
      next();
    });
    io.on("connection", async (socket: Socket<ClientToServer, ServerToClient, DefaultEventsMap, Data>) => {
      socket.on("say", (text, done) => {
        const given: string = text;
        done(given.length > 0);
        // @ts-expect-error the answer is a boolean
        done("yes");
      });
      socket.on("disconnect", (reason) => reason === "ping timeout");
      // @ts-expect-error no such event comes from clients
      socket.on("said", () => {});
      socket.emit("said", "a", "b");
      // @ts-expect-error an argument is missing
      socket.emit("said", "a");
      // @ts-expect-error no such event goes to clients
      socket.emit("say", "a", () => {});
      const answer: number = await socket.emitWithAck("ask", "?");
      const timed: number = await socket.timeout(10).emitWithAck("ask", "?");
      socket.timeout(10).emit("ask", "?", (error, value) => [error.message, value + answer + timed]);
      socket.to("room").emit("said", "a", "b");
      socket.broadcast.timeout(5).emit("ask", "?", (error, answers) => [error.message, answers.map((n) => n + 1)]);
    });
    io.emit("said", "a", "b");
    // @ts-expect-error whoever sends to all must wait for answers with a time-out
    io.emit("ask", "?", () => {});
    const published = await io.to("room").idempotencyKey("k").publish("said", "a", "b");
    const seq: number = published.seq;
    const all: number[] = await io.timeout(5).emitWithAck("ask", "?");
    const remote: RemoteSocket<ServerToClient, Data>[] = await io.fetchSockets();
    return [seq, all, remote.map((socket) => socket.data.name.length)];
  };
  const serverSide = async (io: Server<ClientToServer, ServerToClient, ServerToServer, Data>) => {
    io.on("refresh", (key) => key.length);
    io.on("count", (done) => done(1));
    io.on("new_namespace", (namespace) => namespace.name);
    io.serverSideEmit("refresh", "key");
    // @ts-expect-error a number is no key
    io.serverSideEmit("refresh", 7);
    // @ts-expect-error no such event is said between servers
    io.of("/admin").serverSideEmit("said", "a", "b");
    io.serverSideEmit("count", (error, counts) => [error.message, counts.map((n) => n + 1)]);
    const counts: number[] = await io.serverSideEmitWithAck("count");
    io.of("/").adapter.on("join-room", (room: string, id: string) => [room, id]);
    io.engine.on("connection_error", ({ code }: { code: number }) => code);
    return counts;
  };
  const untyped = (io: Server) => {
    io.on("connection", (socket) => {
      socket.on("anything", (a, b, done) => done(a, b));
      socket.emit("whatever", 1, "2", { three: 3 }, () => {});
      socket.data.anything = 1;
    });
    io.to("x").emit("whatever", 1, () => {});
  };
  assert.equal(typeof compiled, typeof untyped);
  assert.equal(typeof serverSide, "function");
});
