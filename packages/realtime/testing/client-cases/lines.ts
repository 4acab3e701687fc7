/** Lines of the stock client: how they begin, change, end and begin again, and the sockets on them. */
import { type ClientCase, connected, equal, next, own, wait } from "./visit.ts";

export const lineCases: Record<string, ClientCase> = {};

lineCases["connect: id, connected, disconnected, active, and the engine's own id"] = async (visit) => {
  const socket = visit.client("", { autoConnect: false });
  equal([socket.id, socket.connected, socket.disconnected, socket.active], [undefined, false, true, false]);
  const arrived = connected(socket);
  equal(socket.connect() === socket, true);
  equal(socket.active, true);
  await arrived;
  equal([socket.connected, socket.disconnected, socket.active, socket.recovered], [true, false, true, false]);
  equal(typeof socket.id === "string" && socket.id !== socket.io.engine.id, true);
  const state = await socket.emitWithAck("state");
  equal(state.id, socket.id);
  const gone = next(socket as never, "disconnect");
  equal(socket.disconnect() === socket, true);
  equal((await gone)[0], "io client disconnect");
  equal([socket.id, socket.connected, socket.active], [undefined, false, false]);
  const again = connected(socket);
  socket.open();
  await again;
};

lineCases["the transports are those that were asked for, to the last"] = async (visit) => {
  const { transports } = visit.tools;
  const socket = visit.client();
  await connected(socket);
  equal(transports.includes(socket.io.engine.transport.name as "polling"), true);
  if (transports.length === 2 && socket.io.engine.transport.name === "polling")
    await next(socket.io.engine as never, "upgrade");
  equal(socket.io.engine.transport.name, transports.at(-1));
  equal((await socket.emitWithAck("state")).transport, transports.at(-1));
};

lineCases["auth as an object and as a function that is asked for each connection"] = async (visit) => {
  const one = await visit.connect("", { auth: { name: "Anna", deep: { list: [1, null, true] } } });
  equal((await one.emitWithAck("handshake")).auth, { name: "Anna", deep: { list: [1, null, true] } });
  let asked = 0;
  const two = await visit.connect("", { auth: (give) => setTimeout(() => give({ asked: ++asked }), 5) });
  equal((await two.emitWithAck("handshake")).auth.asked, 1);
  two.disconnect();
  const again = connected(two);
  two.connect();
  await again;
  equal(asked, 2);
};

lineCases["query, and extraHeaders where a browser can send them"] = async (visit) => {
  const { inBrowser, transports } = visit.tools;
  const socket = await visit.connect("", { query: { word: "ä & b=c" }, extraHeaders: { "x-mine": "yes" } });
  const { word, mine, xdomain } = await socket.emitWithAck("handshake");
  equal(word, "ä & b=c");
  // A browser has no way to give fields to a WebSocket.
  equal(mine, inBrowser && transports[0] === "websocket" ? undefined : "yes");
  equal(xdomain, inBrowser && visit.tools.crossOrigin);
};

lineCases["namespaces: one line for all, each with its own socket; leaving one leaves the others"] = async (visit) => {
  const { io, url } = visit.tools;
  const main = await visit.connect();
  const admin = main.io.socket("/admin", { auth: { token: "secret" } });
  await connected(admin);
  equal(admin.io === main.io, true);
  equal(admin.id !== main.id, true);
  equal(await new Promise((resolve) => admin.emit("who", (...all: unknown[]) => resolve(all))), ["admin", "/admin"]);
  const room = main.io.socket("/room-7");
  const welcomed = next(room as never, "welcome");
  equal(own(await welcomed, 1), ["/room-7"]);
  admin.disconnect();
  equal(await main.emitWithAck("echo", "still here"), "still here");
  // By address, and shared unless the namespace is taken. Lines of other cases are at this address, too.
  const number = Math.floor(Math.random() * 2 ** 40);
  const lookUp = (n: number, options = {}) => io(`${url}/room-${number + n}`, { autoConnect: false, ...options });
  const [one, two, three, four] = [lookUp(1), lookUp(2), lookUp(2), lookUp(3, { forceNew: true })];
  equal([one!.io === two!.io, two!.io === three!.io, one!.io === four!.io], [true, false, false]);
  equal(one!.io.opts.path, "/socket.io");
  room.disconnect();
};

lineCases["connect_error: a middleware's refusal with its data, then let in; and a namespace that is not"] = async (
  visit,
) => {
  const socket = visit.client("/admin", { auth: { token: "wrong" } });
  const [error] = await next(socket as never, "connect_error");
  equal(
    [error instanceof Error, error.message, error.data],
    [true, "not authorized", { code: "E1", hint: "Please retry later" }],
  );
  equal([socket.connected, socket.active], [false, false]);
  socket.auth = { token: "secret" };
  const arrived = connected(socket);
  socket.connect();
  await arrived;
  const [unknown] = await next(visit.client("/nowhere") as never, "connect_error");
  equal(unknown.message, "Invalid namespace");
};

lineCases["disconnect reasons: by the client, by the server, for the whole line"] = async (visit) => {
  for (const [order, reason, active] of [
    ["kick", "io server disconnect", false],
    ["expel", "io server disconnect", false],
    ["cut", "transport close", true],
  ] as const) {
    const socket = await visit.settled({ reconnection: true, reconnectionDelay: 60_000, reconnectionDelayMax: 60_000 });
    const gone = next(socket as never, "disconnect");
    socket.emit(order);
    const [why] = await gone;
    // A page whose poll is cut sees an error where Node sees an end.
    equal(why === "transport error" && order === "cut" ? "transport close" : why, reason, order);
    equal(socket.active, active, order);
    socket.disconnect();
  }
};

lineCases["a line that ends is made anew: the manager tells, and what was emitted meanwhile arrives"] = async (
  visit,
) => {
  const socket = await visit.settled({ reconnection: true, reconnectionDelay: 30, randomizationFactor: 0 });
  const trail: string[] = [];
  for (const name of ["reconnect_attempt", "reconnect", "open", "close"] as const) {
    socket.io.on(name, () => trail.push(name));
  }
  const back = next(socket as never, "connect");
  const gone = next(socket as never, "disconnect");
  socket.emit("cut");
  await gone;
  socket.emit("number", 7);
  await back;
  equal(await socket.emitWithAck("numbers"), [7]);
  equal(trail.slice(0, 2), ["close", "reconnect_attempt"]);
  equal([trail.includes("open"), trail.includes("reconnect")], [true, true]);
};

lineCases["recovery: the same id, data and rooms, and what was missed, in order and once"] = async (visit) => {
  // `socket.io` lets nobody recover who is back before it has noticed that they left: on a busy machine that takes a while.
  const socket = await visit.settled({ reconnection: true, reconnectionDelay: 1_000, randomizationFactor: 0 });
  const other = await visit.connect();
  const key = `${Math.random()}`;
  const heard: number[] = [];
  socket.on(key, (n: number) => heard.push(n));
  await socket.emitWithAck("keep", { name: "Anna" });
  const first = next(socket as never, key);
  other.emit("tell", key, 0);
  await first;
  const { id } = socket;
  for (let round = 0; round < 2; round++) {
    const back = next(socket as never, "connect");
    socket.io.engine.close();
    for (let n = 1; n <= 5; n++) other.emit("tell", key, round * 5 + n);
    await other.emitWithAck("echo", 1);
    await back;
    equal([socket.recovered, socket.id], [true, id]);
    const state = await socket.emitWithAck("state");
    equal([state.recovered, state.id, state.data.name], [true, id, "Anna"]);
  }
  equal(heard, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
};

lineCases["order is kept both ways while the transport changes"] = async (visit) => {
  const socket = visit.client();
  const heard: number[] = [];
  socket.on("number", (n: number) => heard.push(n));
  const expected = Array.from({ length: 300 }, (_, n) => n);
  for (let n = 0; n < 100; n++) socket.emit("number", n);
  socket.emit("flood", 100);
  await connected(socket);
  for (let n = 100; n < 200; n++) {
    socket.emit("number", n);
    if (n % 20 === 0) await wait(1);
  }
  if (socket.io.engine.transport.name !== visit.tools.transports.at(-1))
    await next(socket.io.engine as never, "upgrade");
  for (let n = 200; n < 300; n++) socket.emit("number", n);
  equal(await socket.emitWithAck("numbers"), expected);
  equal(heard, expected.slice(0, 100));
};

lineCases["the manager's settings, and giving up on a server that is not there"] = async (visit) => {
  const { Manager } = visit.tools;
  const manager = new Manager("http://127.0.0.1:9", {
    autoConnect: false,
    transports: [...visit.tools.transports],
    reconnectionAttempts: 2,
    reconnectionDelay: 10,
    reconnectionDelayMax: 20,
    randomizationFactor: 0,
    timeout: 5_000,
  });
  equal([manager.reconnection(), manager.reconnectionAttempts(), manager.reconnectionDelay()], [true, 2, 10]);
  equal([manager.reconnectionDelayMax(), manager.randomizationFactor(), manager.timeout()], [20, 0, 5_000]);
  const trail: string[] = [];
  for (const name of ["error", "reconnect_attempt", "reconnect_error"] as const)
    manager.on(name, () => trail.push(name));
  const failed = next(manager as never, "reconnect_failed");
  const socket = manager.socket("/");
  const [error] = await Promise.all([next(socket as never, "connect_error"), socket.connect()]);
  equal([error[0] instanceof Error, socket.active], [true, true]);
  await failed;
  equal(trail.filter((name) => name === "reconnect_attempt").length, 2);
  equal(trail.filter((name) => name === "reconnect_error").length, 2);
  equal(trail.includes("error"), true);
};

lineCases["retries: an event is sent until it is acknowledged, the next one after it"] = async (visit) => {
  const socket = await visit.connect("", { retries: 20, ackTimeout: 400 });
  const key = `${Math.random()}`;
  const done: string[] = [];
  await Promise.all([
    new Promise<void>((resolve) =>
      socket.emit("third time", key, (error: Error | null, count: number) => {
        // Later than the third when its answer took its time.
        done.push(`first ${error} ${count >= 3}`);
        resolve();
      }),
    ),
    new Promise<void>((resolve) =>
      socket.emit("echo", "second", (error: Error | null, value: string) => {
        done.push(`${value} ${error}`);
        resolve();
      }),
    ),
  ]);
  equal(done, ["first null true", "second null"]);
};

lineCases["tryAllTransports: the next transport when the first is not to be had"] = async (visit) => {
  const transports = [...visit.tools.transports].reverse();
  const socket = await visit.connect("", { transports: transports as string[], tryAllTransports: true });
  equal(transports.includes(socket.io.engine.transport.name as "polling"), true);
};

lineCases["withCredentials: cookies that the server set come back"] = async (visit) => {
  // Only an answer to polling can set one; a browser may have one of an earlier case.
  const polled = await visit.connect("", { transports: ["polling"] });
  await polled.emitWithAck("echo", 1);
  const { inBrowser, transports } = visit.tools;
  if (inBrowser) {
    const socket = await visit.connect();
    equal(/(^|; )line=/.test((await socket.emitWithAck("handshake")).cookie), true);
    const without = await visit.connect("", { transports: ["polling"], withCredentials: false });
    const sent = /(^|; )line=/.test((await without.emitWithAck("handshake")).cookie);
    // Requests to the page's own origin have them whatever is asked for.
    equal(sent, !visit.tools.crossOrigin);
  } else if (transports[0] === "polling") {
    // Node's client keeps those of its own line.
    equal((await polled.emitWithAck("handshake")).cookie, "");
    polled.io.engine.close();
  }
};
