import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { io, type ManagerOptions, type Socket, type SocketOptions } from "socket.io-client";

type ClientOptions = Partial<ManagerOptions & SocketOptions>;

/** Starts an example on a free port and reads its address from what it prints. */
async function start(program: string): Promise<{ child: ChildProcess; address: string }> {
  const file = fileURLToPath(new URL(program, import.meta.url));
  const child = spawn(process.execPath, [file], {
    env: { ...process.env, PORT: "0", TIDEWAY_LINK: "" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith("http://")) return { child, address: line };
  }
  throw new Error(`${program} ended before it listened`);
}

async function stop(child: ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  const [code, signal] = await once(child, "exit");
  assert.deepEqual([code, signal], [0, null], "SIGTERM ends it cleanly");
}

function next(socket: Socket, event: string): Promise<unknown[]> {
  return new Promise((resolve) => socket.once(event, (...args: unknown[]) => resolve(args)));
}

async function connected(address: string, options: ClientOptions): Promise<Socket> {
  const socket = io(address, { forceNew: true, reconnection: false, ...options });
  await Promise.race([
    next(socket, "connect"),
    next(socket, "connect_error").then(([error]) => {
      throw error;
    }),
  ]);
  return socket;
}

/** Resolves when the client has moved from polling to WebSocket. */
async function upgraded(socket: Socket): Promise<void> {
  if (socket.io.engine.transport.name === "websocket") return;
  await new Promise<void>((resolve) => socket.io.engine.once("upgrade", () => resolve()));
}

const ways: [string, ClientOptions][] = [
  ["polling", { transports: ["polling"] }],
  ["websocket", { transports: ["websocket"] }],
  ["the upgrade", {}],
];

suite("node-http", () => {
  let child: ChildProcess;
  let address: string;
  before(async () => {
    ({ child, address } = await start("./node-http/server.ts"));
  });
  after(() => stop(child));

  test("answers /, /getSecretData and anything else beside the real-time path", async () => {
    const root = await fetch(address);
    assert.equal(root.status, 200);
    assert.match(await root.text(), /socket\.io\.js/);
    const secret = await fetch(new URL("/getSecretData", address));
    assert.deepEqual(await secret.json(), { secret: "the tide turns at six" });
    const other = await fetch(new URL("/else", address));
    assert.equal(other.status, 404);
    assert.equal(await other.text(), "There is nothing at /else\n");
  });

  test("serves the browser's client, and 304 when it is known", async () => {
    const script = await fetch(new URL("/socket.io/socket.io.js", address));
    assert.equal(script.status, 200);
    assert.match(script.headers.get("content-type") ?? "", /javascript/);
    assert.match(await script.text(), /Socket\.IO v4/);
    const again = await fetch(new URL("/socket.io/socket.io.js", address), {
      headers: { "if-none-match": script.headers.get("etag") ?? "" },
    });
    assert.equal(again.status, 304);
  });

  for (const [way, options] of ways) {
    test(`two clients chat by ${way}`, async () => {
      const first = await connected(address, options);
      const came = next(first, "came");
      const second = await connected(address, options);
      assert.deepEqual(await came, [second.id]);
      if (way === "the upgrade") await Promise.all([upgraded(first), upgraded(second)]);
      const heard = [next(first, "said"), next(second, "said")];
      assert.equal(await second.emitWithAck("say", "good morning"), true);
      for (const said of heard) assert.deepEqual(await said, [{ from: second.id, text: "good morning" }]);
      assert.equal(await second.emitWithAck("say", 7), false);
      const left = next(first, "left");
      const gone = second.id;
      second.disconnect();
      assert.deepEqual(await left, [gone]);
      first.disconnect();
    });
  }
});

suite("express-chat", () => {
  let child: ChildProcess;
  let address: string;
  before(async () => {
    ({ child, address } = await start("./express-chat/server.ts"));
  });
  after(() => stop(child));

  test("Express answers its own routes", async () => {
    assert.match(await (await fetch(address)).text(), /A chat over Socket\.IO/);
    assert.equal((await fetch(new URL("/nowhere", address))).status, 404);
  });

  test("a client without a name is refused with the middleware's message", async () => {
    await assert.rejects(connected(address, {}), { message: "a name is needed" });
  });

  for (const [way, options] of ways) {
    test(`rooms, names and a route that speaks work by ${way}`, async () => {
      const room = way.replace(" ", "-");
      const anna = await connected(address, { ...options, auth: { name: "Anna" } });
      const ben = await connected(address, { ...options, auth: { name: "Ben" } });
      if (way === "the upgrade") await Promise.all([upgraded(anna), upgraded(ben)]);
      assert.deepEqual(await anna.emitWithAck("join", room), ["Anna"]);
      const came = next(anna, "came");
      assert.deepEqual((await ben.emitWithAck("join", room)).toSorted(), ["Anna", "Ben"]);
      assert.deepEqual(await came, [room, "Ben"]);
      // Anna hears herself, maybe later than Ben does.
      const said = [next(ben, "said"), next(anna, "said")];
      anna.emit("say", room, "hello");
      for (const heard of said) assert.deepEqual(await heard, [room, "Anna", "hello"]);
      const house = next(anna, "said");
      const answer = await fetch(new URL(`/rooms/${room}`, address), {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ text: "last orders" }),
      });
      assert.equal(answer.status, 202);
      assert.deepEqual(await house, [room, "the house", "last orders"]);
      const list = await (await fetch(new URL(`/rooms/${room}`, address))).json();
      assert.deepEqual((list as { names: string[] }).names.toSorted(), ["Anna", "Ben"]);
      anna.disconnect();
      ben.disconnect();
    });
  }
});

suite("news-over-http", () => {
  let child: ChildProcess;
  let address: string;
  before(async () => {
    ({ child, address } = await start("./news-over-http/server.ts"));
  });
  after(() => stop(child));

  const publish = (text: string, authorization: string, event = "headline") =>
    fetch(new URL("/socket.io/rooms/news/events", address), {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": text, authorization },
      body: JSON.stringify({ event, args: [text] }),
    });

  test("a headline reaches curl's way of reading, polls and sockets, once; who has not the word publishes nothing", async () => {
    assert.match(await (await fetch(address)).text(), /new EventSource/);
    const socket = await connected(address, {});
    const stream = await fetch(new URL("/socket.io/rooms/news/events", address), {
      headers: { accept: "text/event-stream" },
    });
    const heard = next(socket, "headline");
    assert.equal((await publish("no", "Bearer chalk")).status, 404);
    assert.equal((await publish("no", "Bearer ink", "other")).status, 404);
    const [first, again] = [
      await publish("The tide turns", "Bearer ink"),
      await publish("The tide turns", "Bearer ink"),
    ];
    const place = (await first.json()) as { offset: string };
    assert.deepEqual([first.status, again.status, await again.json()], [201, 201, place]);
    assert.deepEqual(await heard, ["The tide turns", place.offset], "a socket's offset is the same");
    let text = "";
    for await (const bytes of stream.body!) {
      text += Buffer.from(bytes).toString();
      if (text.includes("data: ")) break;
    }
    assert.match(text, /\nevent: headline\ndata: \["The tide turns"\]\n\n/);
    const kept = await fetch(new URL("/socket.io/rooms/news/events?after=0", address));
    assert.equal(((await kept.json()) as { events: unknown[] }).events.length, 1);
    socket.disconnect();
  });
});
