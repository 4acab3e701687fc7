/** What is sent and what arrives: against `socket.io` from npm and against ours, on every transport. */
import assert from "node:assert/strict";
import { type Case, connected, heardUntil, next, runOnAll } from "./testing/counterparts.ts";

const cases: Record<string, Case> = {};

cases["a client's id, query, auth and headers reach the server"] = async (stage) => {
  const [client, socket] = await stage.connect("/", {
    query: { colour: "blue" },
    auth: { token: "t", nested: { list: [1, null] } },
    extraHeaders: { "x-test": "yes" },
  });
  assert.equal(client.connected && socket.connected, true);
  assert.equal(socket.handshake.query["colour"], "blue");
  assert.equal(socket.handshake.query["EIO"], "4");
  assert.deepEqual(socket.handshake.auth, { token: "t", nested: { list: [1, null] } });
  assert.equal(socket.handshake.headers["x-test"], "yes");
  assert.equal(socket.handshake.secure, false);
  assert.equal(socket.handshake.xdomain, false);
  assert.match(socket.handshake.address, /127\.0\.0\.1/);
  assert.match(socket.handshake.url, /^\/socket\.io\/\?/);
  assert.equal(typeof socket.handshake.issued, "number");
  assert.match(socket.handshake.time, /\d{4}/);
  assert.equal(socket.nsp.name, "/");
  assert.equal(socket.recovered, false);
  assert.deepEqual([...socket.rooms], [socket.id]);
};

cases["values of every JSON type and binary at any depth pass both ways"] = async (stage) => {
  const [client, socket] = await stage.connect();
  const values = [1, -0.5, "é\u2028😀", true, null, [], {}, { a: [{ b: null }] }];
  socket.on("echo", (...args) => socket.emit("back", ...args));
  client.emit("echo", ...values, Buffer.from([1, 2]), { deep: [Buffer.alloc(0), new Uint8Array([3])] });
  const back = await next(client, "back");
  assert.deepEqual(back.slice(0, values.length), values);
  assert.deepEqual(Buffer.from(back[8]), Buffer.from([1, 2]));
  assert.deepEqual(
    back[9].deep.map((bytes: Uint8Array) => [...bytes]),
    [[], [3]],
  );
  client.emit("echo", Buffer.from("one at last"));
  const [bytes] = await next(socket, "echo");
  assert.ok(Buffer.isBuffer(bytes) && bytes.toString() === "one at last");
};

cases["undefined, Date and Map arrive as JSON makes them"] = async (stage) => {
  const [client, socket] = await stage.connect();
  socket.emit("odd", undefined, new Date(0), new Map([[1, 2]]), { gone: undefined, kept: 1 });
  assert.deepEqual(await next(client, "odd"), [null, "1970-01-01T00:00:00.000Z", {}, { kept: 1 }]);
};

cases["a client's acknowledgement is answered once, with all arguments, also later"] = async (stage) => {
  const [client, socket] = await stage.connect();
  socket.on("ask", (question, done) => {
    setImmediate(() => {
      done(question, Buffer.from([7]), 3);
      done("again");
    });
  });
  const [question, bytes, number] = await new Promise<unknown[]>((resolve) =>
    client.emit("ask", "?", (...args: unknown[]) => resolve(args)),
  );
  assert.deepEqual([question, [...(bytes as Uint8Array)], number], ["?", [7], 3]);
};

cases["a server's acknowledgement: callback, promise, time-out"] = async (stage) => {
  const [client, socket] = await stage.connect();
  client.on("ask", (value: number, done: (...args: number[]) => void) => done(value + 1, value + 2));
  client.on("ignore", () => {});
  const callback = await new Promise((resolve) => socket.emit("ask", 1, (...args: number[]) => resolve(args)));
  assert.deepEqual(callback, [2, 3]);
  assert.equal(await socket.emitWithAck("ask", 5), 6);
  assert.equal(await socket.timeout(5_000).emitWithAck("ask", 6), 7);
  const timed = await new Promise((resolve) =>
    socket.timeout(5_000).emit("ask", 1, (...args: unknown[]) => resolve(args)),
  );
  assert.deepEqual(timed, [null, 2, 3]);
  await assert.rejects(socket.timeout(20).emitWithAck("ignore"), { message: "operation has timed out" });
};

cases["rooms: to, in, several, except, once each, and never oneself by socket.to"] = async (stage) => {
  const [a, serverA] = await stage.connect();
  const [b, serverB] = await stage.connect();
  const [c, serverC] = await stage.connect();
  serverA.join(["red", "blue"]);
  serverB.join("red");
  serverC.join("blue");
  assert.deepEqual([...serverA.rooms], [serverA.id, "red", "blue"]);
  const all = Promise.all([a, b, c].map((client) => heardUntil(client, "end")));
  const { io } = stage;
  io.to("red").emit("1 red");
  io.in("red").in("blue").emit("2 either");
  io.to(["red", "blue"]).except("blue").emit("3 red not blue");
  serverA.to("red").emit("4 red but a");
  serverA.broadcast.emit("5 all but a");
  serverA.except("red").emit("6 not red, not a");
  io.to(serverB.id).emit("7 b");
  serverA.leave("red");
  io.to("red").emit("8 red");
  io.except([serverA.id, serverB.id]).emit("9 c");
  io.emit("end");
  const heard = (await all).map((events) => events.map(([name]) => String(name).slice(0, 1)).join(""));
  assert.deepEqual(heard, ["12e", "1234578e", "2569e"]);
};

cases["events of all kinds keep their order towards one client"] = async (stage) => {
  const [client, socket] = await stage.connect();
  client.on("n", (...args: unknown[]) => {
    const done = args.at(-1);
    if (typeof done === "function") done();
  });
  const heard = heardUntil(client, "end");
  for (let n = 0; n < 40; n++) {
    if (n % 4 === 0) socket.emit("n", n);
    else if (n % 4 === 1) stage.io.emit("n", n);
    else if (n % 4 === 2) socket.emit("n", n, () => {});
    else socket.emit("n", n, Buffer.from([n]));
  }
  socket.emit("end");
  const numbers = (await heard).slice(0, -1).map(([, n]) => n as number);
  assert.deepEqual(
    numbers,
    Array.from({ length: 40 }, (_, n) => n),
  );
};

cases["a client's events keep their order, those sent before the connection included"] = async (stage) => {
  const client = stage.client();
  for (let n = 0; n < 10; n++) client.emit("n", n);
  const heard: number[] = [];
  const done = new Promise<void>((resolve) => {
    stage.io.once("connection", (socket) => {
      socket.on("n", (n) => {
        heard.push(n);
        if (n === 19) resolve();
      });
    });
  });
  client.connect();
  await connected(client);
  for (let n = 10; n < 20; n++) client.emit("n", n, n % 2 === 0 ? Buffer.from([n]) : n);
  await done;
  assert.deepEqual(
    heard,
    Array.from({ length: 20 }, (_, n) => n),
  );
};

cases["broadcast acknowledgements: all answers, or an error with those that came"] = async (stage) => {
  const [a] = await stage.connect();
  const [b] = await stage.connect();
  a.on("ask", (done: (v: string) => void) => done("a"));
  b.on("ask", (done: (v: string) => void) => done("b"));
  a.on("half", (done: (v: string) => void) => done("a"));
  const answers = await stage.io.timeout(5_000).emitWithAck("ask");
  assert.deepEqual(answers.toSorted(), ["a", "b"]);
  // Time for one answer to come on a busy machine; the other never comes, so the case lasts this long, twice.
  const limitMs = 1_000;
  const [error, some] = await new Promise<[Error, unknown]>((resolve) =>
    stage.io.timeout(limitMs).emit("half", (...args: [Error, unknown]) => resolve(args)),
  );
  assert.equal(error.message, "operation has timed out");
  assert.deepEqual(some, ["a"]);
  const failure = await stage.io
    .timeout(limitMs)
    .emitWithAck("half")
    .catch((reason) => reason);
  assert.deepEqual([failure.message, failure.responses], ["operation has timed out", ["a"]]);
  assert.deepEqual(await stage.io.to("nobody").timeout(1_000).emitWithAck("ask"), []);
};

runOnAll(cases);
