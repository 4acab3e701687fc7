/**
 * The program that the client cases speak to. Socket.IO's own types, and nothing else from anywhere, so that it runs on
 * any of the servers.
 */
import type { Server } from "socket.io";

/** What all of the servers are given. `path` and the like are left as they are. */
export const caseOptions = {
  connectionStateRecovery: { maxDisconnectionDuration: 60_000, skipMiddlewares: true },
  cors: { origin: [/^http:\/\/127\.0\.0\.1:\d+$/], credentials: true },
  cookie: { name: "line", httpOnly: true, sameSite: "lax" },
} as const;

type Callback = (...answer: unknown[]) => void;

export function serveCases(io: Server): void {
  const failures = new Map<string, number>();
  io.of("/admin").use((socket, next) => {
    if (socket.handshake.auth["token"] === "secret") return next();
    next(Object.assign(new Error("not authorized"), { data: { code: "E1", hint: "Please retry later" } }));
  });
  io.of("/admin").on("connection", (socket) => {
    socket.on("who", (done: Callback) => done("admin", socket.nsp.name));
  });
  io.of(/^\/room-\d+$/).on("connection", (socket) => socket.emit("welcome", socket.nsp.name));
  io.on("connection", (socket) => {
    socket.on("echo", (...args) => (args.pop() as Callback)(...args));
    socket.on("bounce", (event: string, ...args) => socket.emit(event, ...args));
    socket.on("message", (...args) => socket.send(...args));
    socket.on("handshake", (done: Callback) => {
      const { auth, query, headers, xdomain } = socket.handshake;
      done({ auth, word: query["word"], mine: headers["x-mine"], cookie: headers.cookie ?? "", xdomain });
    });
    socket.on("state", (done: Callback) => {
      done({ id: socket.id, recovered: socket.recovered, data: socket.data, transport: socket.conn.transport.name });
    });
    socket.on("keep", (data: object, done: Callback) => {
      Object.assign(socket.data, data);
      socket.join("kept");
      done();
    });
    socket.on("tell", (event: string, ...args) => io.to("kept").emit(event, ...args));
    socket.on("ask me", (done: Callback) => {
      socket.timeout(2_000).emit("question", 20, (error: Error | null, answer: number) => done(error?.message, answer));
    });
    socket.on("silence", () => {});
    // Answers when it is asked for the third time.
    socket.on("third time", (key: string, done: Callback) => {
      const count = (failures.get(key) ?? 0) + 1;
      failures.set(key, count);
      if (count >= 3) done(count);
    });
    const counted: number[] = [];
    socket.on("number", (n: number) => counted.push(n));
    socket.on("numbers", (done: Callback) => done(counted));
    socket.on("flood", (count: number) => {
      for (let n = 0; n < count; n++) socket.emit("number", n);
    });
    socket.on("kick", () => socket.disconnect());
    socket.on("expel", () => socket.disconnect(true));
    socket.on("cut", () => {
      // For this long the reference would keep a polling line's timer, and with it the process of the tests.
      (socket.conn.transport as { closeTimeout?: number }).closeTimeout = 500;
      socket.conn.close();
    });
  });
}
