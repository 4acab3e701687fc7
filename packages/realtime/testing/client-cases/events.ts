/** Events of the stock client: listeners, acknowledgements, what they carry. */
import { bytesOf, type ClientCase, connected, equal, next, own, wait } from "./visit.ts";

export const eventCases: Record<string, ClientCase> = {};

eventCases["on, once, off, listeners: in order, and each as often as it was added"] = async (visit) => {
  const socket = await visit.connect();
  const trail: string[] = [];
  const kept = () => trail.push("kept");
  const removed = () => trail.push("removed");
  socket.on("ev", kept);
  socket.once("ev", () => trail.push("once"));
  socket.on("ev", removed);
  equal([socket.listeners("ev").length, socket.hasListeners("ev"), socket.hasListeners("none")], [3, true, false]);
  socket.off("ev", removed);
  socket.emit("bounce", "ev", 1);
  socket.emit("bounce", "ev", 2);
  socket.emit("bounce", "end");
  await next(socket as never, "end");
  equal(trail, ["kept", "once", "kept"]);
  socket.off("ev");
  equal(socket.hasListeners("ev"), false);
  socket.off();
  equal(socket.listeners("end").length, 0);
};

eventCases["catch-all listeners, in and out"] = async (visit) => {
  const socket = await visit.connect();
  const trail: unknown[] = [];
  const into = (event: string, first: unknown) => trail.push(["in", event, first]);
  socket.onAny(into);
  socket.prependAny((event: string) => trail.push(["first", event]));
  const out = (event: string, ...args: unknown[]) => trail.push(["out", event, ...args]);
  socket.onAnyOutgoing(out);
  socket.prependAnyOutgoing((event: string) => trail.push(["first out", event]));
  equal([socket.listenersAny().length, socket.listenersAnyOutgoing().length], [2, 2]);
  socket.emit("bounce", "ev", 1);
  await next(socket as never, "ev");
  socket.offAny(into);
  socket.offAnyOutgoing(out);
  socket.emit("bounce", "ev", 2);
  await next(socket as never, "ev");
  equal(trail, [
    ["first out", "bounce"],
    ["out", "bounce", "ev", 1],
    ["first", "ev"],
    ["in", "ev", 1],
    ["first out", "bounce"],
    ["first", "ev"],
  ]);
  socket.offAny();
  socket.offAnyOutgoing();
  equal([socket.listenersAny().length, socket.listenersAnyOutgoing().length], [0, 0]);
};

eventCases["acknowledgements: callback, promise, in time, too late, and asked by the server"] = async (visit) => {
  const socket = await visit.connect();
  const called = await new Promise((resolve) => socket.emit("echo", 1, "2", [3], (...all: unknown[]) => resolve(all)));
  equal(called, [1, "2", [3]]);
  equal(await socket.emitWithAck("echo", { a: null }), { a: null });
  const timed = await new Promise((resolve) =>
    socket.timeout(5_000).emit("echo", "in time", (error: Error | null, value: string) => resolve([error, value])),
  );
  equal(timed, [null, "in time"]);
  const late = await new Promise<Error>((resolve) => socket.timeout(20).emit("silence", resolve));
  equal(late.message, "operation has timed out");
  const rejected = await socket
    .timeout(20)
    .emitWithAck("silence")
    .catch((error: Error) => error.message);
  equal(rejected, "operation has timed out");
  socket.once("question", (n: number, answer: (n: number) => void) => answer(n + 1));
  equal(await new Promise((resolve) => socket.emit("ask me", (...all: unknown[]) => resolve(all))), [null, 21]);
};

eventCases["an acknowledgement that is open when the line ends is rejected, with a time-out at once"] = async (
  visit,
) => {
  const socket = await visit.connect();
  const open = socket
    .timeout(60_000)
    .emitWithAck("silence")
    .catch((error: Error) => error.message);
  const bare = socket.emitWithAck("silence").catch((error: Error) => error.message);
  await socket.emitWithAck("echo", 1);
  socket.disconnect();
  equal([await open, await bare], ["socket has been disconnected", "socket has been disconnected"]);
};

eventCases["what is emitted before the connection waits; volatile does not"] = async (visit) => {
  const socket = visit.client();
  socket.emit("number", 1);
  socket.volatile.emit("number", 2);
  socket.emit("number", 3);
  await connected(socket);
  equal(await socket.emitWithAck("numbers"), [1, 3]);
  // Once it is there, and the transport is free.
  await wait(50);
  socket.volatile.emit("number", 4);
  socket.compress(false).emit("number", 5);
  equal(((await socket.emitWithAck("numbers")) as number[]).at(-1), 5);
};

eventCases["binary: buffers, views and blobs, at any depth, both ways, among other events in order"] = async (
  visit,
) => {
  const socket = await visit.settled();
  const bytes = Uint8Array.from([0, 1, 127, 128, 255]);
  equal(bytesOf(await socket.emitWithAck("echo", bytes)), [...bytes]);
  equal(bytesOf(await socket.emitWithAck("echo", bytes.buffer)), [...bytes]);
  const deep = await socket.emitWithAck("echo", {
    a: [{ b: bytes }, bytes.slice(1, 3)],
    none: new Uint8Array(0),
    n: 1,
  });
  equal([bytesOf(deep.a[0].b), bytesOf(deep.a[1]), bytesOf(deep.none), deep.n], [[...bytes], [1, 127], [], 1]);
  if (visit.tools.inBrowser) {
    equal(bytesOf(await socket.emitWithAck("echo", new Blob([bytes]))), [...bytes]);
    const file = new File([bytes, "x"], "a.bin");
    equal(bytesOf((await socket.emitWithAck("echo", { file })).file), [...bytes, 120]);
  }
  const order: unknown[] = [];
  socket.on("order", (value) => order.push(typeof value === "number" ? value : bytesOf(value)[0]));
  for (let n = 0; n < 10; n++) socket.emit("bounce", "order", n % 2 === 0 ? n : Uint8Array.from([n, 0]));
  socket.emit("bounce", "end");
  await next(socket as never, "end");
  equal(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
};

eventCases["any text arrives as it is: names, arguments, keys"] = async (visit) => {
  const socket = await visit.connect();
  const texts = ["", "ä€𝄞", "👩‍👩‍👧‍👦 🇪🇺", '\u2028\u2029\u0000\u001e\n\r\t"\\', "ﷺ".repeat(50), "__proto__", "日本語"];
  for (const text of texts) equal(await socket.emitWithAck("echo", { [`${text}!`]: text }), { [`${text}!`]: text });
  socket.emit("bounce", "ευ\u{1f600}\u001e", texts);
  equal(own(await next(socket as never, "ευ\u{1f600}\u001e"), 1), [texts]);
  const numbers = [0, -0.5, 1e21, 2 ** 53, null, true, [], {}];
  equal(await socket.emitWithAck("echo", numbers), numbers);
};

eventCases["large payloads, and one that is too large for the server ends the line"] = async (visit) => {
  const socket = await visit.settled();
  const large = "x".repeat(700_000);
  equal((await socket.emitWithAck("echo", large)) === large, true);
  const bytes = new Uint8Array(500_000).fill(7);
  equal(bytesOf(await socket.emitWithAck("echo", bytes)).length, 500_000);
  const gone = next(socket as never, "disconnect");
  socket.emit("echo", "y".repeat(2_000_000), () => {});
  equal(/^transport (close|error)$/.test((await gone)[0]), true);
};

eventCases["send and message"] = async (visit) => {
  const socket = await visit.connect();
  equal(socket.send("hello", 2) === socket, true);
  equal(own(await next(socket as never, "message"), 2), ["hello", 2]);
};

eventCases["reserved names are refused where they are sent"] = async (visit) => {
  const socket = await visit.connect();
  for (const name of ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]) {
    let refused = "";
    try {
      socket.emit(name);
    } catch (error) {
      refused = (error as Error).message;
    }
    equal(refused, `"${name}" is a reserved event name`);
  }
};
