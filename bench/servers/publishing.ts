/**
 * Tideway's library with a stream (arguments: how durable, and a folder): whatever a client says is emitted to all; when a
 * message asks, it publishes events itself, as fast as they are committed.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Durability, Server } from "@tideway/realtime";
import { numbered } from "../load/crowd.ts";

export interface PublishTask {
  readonly events: number;
  readonly bytes: number;
  /** Events that wait for their commit at once. */
  readonly window: number;
}

const [durability, data] = process.argv.slice(2) as [Durability, string];
const server = createServer();
const io = new Server(server, { durability, data });
io.on("connection", (socket) => {
  socket.on("say", (text: string) => io.to("lobby").emit("post", text));
  if (socket.handshake.query["role"] !== "sender") socket.join("lobby");
  socket.emit("ready");
});

async function publish({ events, bytes, window }: PublishTask): Promise<void> {
  let next = 0;
  const publisher = async (): Promise<void> => {
    while (next < events) await io.to("lobby").publish("post", numbered(next++, bytes));
  };
  await Promise.all(Array.from({ length: window }, publisher));
}

process.on("SIGTERM", () => process.exit());
process.on("message", async (task: PublishTask) => {
  await publish(task);
  process.send?.({});
});
process.once("disconnect", () => process.exit());
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));
