/** Ports for programs that cannot say which one they got (nginx, HAProxy), and for services that must be dead. */
import { once } from "node:events";
import { createServer } from "node:net";

/** Below what any system gives away by itself to servers at port 0 and to connections (Linux: from 32768 on). */
const first = 10_000;
const count = 6_000;

/**
 * A TCP port of 127.0.0.1 on which nobody listens. A port that the system has just given and taken back may be given to
 * another test before the program binds it, and who asks it over and over whether it listens is at last connected to
 * itself: a connection's own port comes from the same range.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = first + Math.floor(Math.random() * count);
    const server = createServer().listen(port, "127.0.0.1");
    const bound = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!bound) continue;
    server.close();
    await once(server, "close");
    return port;
  }
  throw new Error(`None of a hundred ports from ${first} on is free`);
}
