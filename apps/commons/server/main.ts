/**
 * One instance of Commons: reads the environment, joins the parts, listens on the port that Tideway gives, stops when
 * asked. Under Tideway the timeline's sockets are held by its hub; started by hand, this process holds them itself.
 */
import { createServer, type Server as HttpServer, type ServerResponse } from "node:http";
import { join } from "node:path";
import { createAdaptorServer } from "@hono/node-server";
import { Server } from "@tideway/realtime";
import { outbox } from "@tideway/realtime/outbox";
import { sql } from "kysely";
import { pino } from "pino";
import { TIMELINE } from "../contract.ts";
import { Accounts } from "./accounts.ts";
import { createApp } from "./app.ts";
import { Attempts } from "./attempts.ts";
import { executorOf, openDatabase } from "./database.ts";
import { RequestDrain } from "./drain.ts";
import { migrate } from "./migrations.ts";
import { Argon2Passwords } from "./passwords.ts";
import { type Announcer, Posts } from "./posts.ts";
import { Sessions } from "./sessions.ts";

const SWEEP_EVERY_MS = 10 * 60_000;
/** A whole request must arrive in this time. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Longer than the edge keeps an idle connection, so that it never sends on one that this side is closing. */
const KEEP_ALIVE_MS = 75_000;
/** How long requests in flight may take to finish after SIGTERM. */
const STOP_TIMEOUT_MS = 10_000;

const port = Number(process.env["PORT"] ?? 3000);
const dataDirectory = process.env["COMMONS_DATA"] ?? "data";
const log = pino({ base: { instance: process.env["TIDEWAY_INSTANCE"] ?? "commons" } });

const db = openDatabase(join(dataDirectory, "commons.sqlite"));
const box = outbox({ dialect: "sqlite" });
await migrate(db, (executor) => box.migrate(executor));

const now = () => Date.now();
const attempts = new Attempts(db, now);
const sessions = new Sessions(db, now);
const announcer: Announcer = {
  add: (executor, event, args) => box.add(executor, { room: TIMELINE, event, args }),
  wake: () => box.wake(),
};
const posts = new Posts(db, announcer, now);
const app = createApp({
  accounts: new Accounts(db, attempts, new Argon2Passwords(), now),
  sessions,
  posts,
  checkHealth: async () => {
    await sql`select 1`.execute(db);
  },
  onFault: (error, requestId) => log.error({ err: error, requestId }, "a request failed"),
});

const drain = new RequestDrain();
const http = createAdaptorServer({
  fetch: (request, env) => {
    drain.track(env.outgoing as ServerResponse);
    return app.fetch(request, env);
  },
  createServer,
  serverOptions: { requestTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_MS },
}) as HttpServer;
const io = new Server(http);
io.on("connection", (socket) => {
  // Reading is free for all: who may write is decided where the change is asked for, not here.
  socket.join(TIMELINE);
});
const relay = box.relay(io, executorOf(db), { logger: log });

async function sweep(): Promise<void> {
  try {
    await Promise.all([attempts.sweep(), sessions.sweep(), posts.sweep()]);
  } catch (error) {
    log.error({ err: error }, "old rows could not be removed");
  }
}
const sweeping = setInterval(() => void sweep(), SWEEP_EVERY_MS).unref();

let stopping = false;
async function stop(signal: string): Promise<void> {
  if (stopping) return;
  stopping = true;
  log.info({ signal }, "stopping");
  clearInterval(sweeping);
  setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref();
  http.close();
  await drain.idle();
  await relay.close();
  await io.close();
  await db.destroy();
  process.exit(0);
}
process.on("SIGTERM", () => void stop("SIGTERM"));
process.on("SIGINT", () => void stop("SIGINT"));

http.listen(port, "127.0.0.1", () => log.info({ port, data: dataDirectory }, "listening"));
