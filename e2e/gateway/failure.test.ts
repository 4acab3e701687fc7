/** Issue 3, "Failure": retries and their budget, the circuit breaker, the queue and its deadline, and every limit of time. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { before, describe, it, test } from "node:test";
import { ask, type Gateway, gateway, Held, Line, type Origin, origin, statusOf, suite, until } from "./harness.ts";

/** Nothing but requests tells how an instance does. */
const health = { everyMs: 600_000 } as const;
/** And no number of failures takes it out. */
const eject = { failures: 0 } as const;
const forgiving = { health, eject, balance: "round-robin" } as const;

describe("retries", () => {
  const owner = suite();
  let bad: Origin;
  let gate: Gateway;

  before(async () => {
    bad = await origin(owner, (incoming) => {
      // Its head was read: nobody knows what it has done since.
      incoming.socket.destroy();
    });
    const good = await origin(owner);
    const upstreams = [bad.url, good.url];
    gate = await gateway(owner, {
      services: {
        both: { upstreams, ...forgiving, retries: { budget: 1 } },
        never: { upstreams: [bad.url], ...forgiving, retries: { max: 0 } },
        once: { upstreams: [bad.url], ...forgiving, retries: { max: 1, budget: 1 } },
        none: { upstreams: [bad.url], ...forgiving, retries: { budget: 0 } },
        poor: { upstreams: [bad.url], ...forgiving, retries: { budget: 0.001 } },
      },
      sites: { "*": { "/": "both", "/never": "never", "/once": "once", "/none": "none", "/poor": "poor" } },
    });
    await gate.ready();
  });

  it("what may be repeated is, at another instance; clients notice nothing", async () => {
    for (let turn = 0; turn < 6; turn++) assert.equal(await statusOf(gate.url()), 200);
    assert.ok(bad.seen.length >= 2);
    assert.ok((await gate.service("both")).counters!["retries"]! >= 2);
  });

  it("a POST is not, unless it has an Idempotency-Key; its body goes along", async () => {
    const post = (headers: Record<string, string> = {}) =>
      ask(gate.url(), { method: "POST", body: "order 7", headers: { ...headers, accept: "text/plain" } });
    const statuses = [(await post()).status, (await post()).status].sort();
    assert.deepEqual(statuses, [200, 502]);
    for (let turn = 0; turn < 4; turn++) {
      const { status, echo } = await post({ "idempotency-key": `"${turn}"` });
      assert.deepEqual([status, echo.body], [200, "order 7"]);
    }
  });

  it("`max` and `budget` say how many", async () => {
    const tries = async (path: string) => {
      const earlier = bad.seen.length;
      assert.equal(await statusOf(gate.url() + path), 502);
      return bad.seen.length - earlier;
    };
    assert.equal(await tries("/never"), 1);
    assert.equal(await tries("/once"), 2);
    assert.equal(await tries("/none"), 1);
    // A quiet service may repeat a hundred at once in any case; what is more is a share of its requests.
    let most = 0;
    let fewest = 3;
    for (let turn = 0; turn < 100; turn++) {
      const now = await tries("/poor");
      most = Math.max(most, now);
      fewest = Math.min(fewest, now);
    }
    assert.deepEqual([most, fewest], [3, 1]);
  });
});

test("the circuit breaker refuses at once while most requests fail, and lets trials through after its time", async (t) => {
  let broken = true;
  const weak = await origin(t, (incoming, answer) =>
    broken ? void incoming.socket.destroy() : void answer.end("well"),
  );
  const gate = await gateway(t, {
    services: {
      api: {
        upstreams: [weak.url],
        ...forgiving,
        retries: { max: 0 },
        breaker: { failureShare: 0.5, windowMs: 600_000, requestsMin: 4, openMs: 300, trialsMax: 2 },
      },
    },
    sites: { "*": { "/": "api" } },
  });
  await gate.ready();
  for (let turn = 0; turn < 4; turn++) assert.equal(await statusOf(gate.url()), 502);
  const refused = await ask(gate.url());
  // A machine that takes longer than openMs for this lets a trial through, which fails.
  assert.ok(refused.status === 503 || weak.seen.length > 4, `${refused.status} after ${weak.seen.length} requests`);
  assert.notEqual((await gate.service("api")).breaker, "closed");
  broken = false;
  await until("the breaker to be closed", async () => {
    await ask(gate.url());
    return (await gate.service("api")).breaker === "closed";
  });
  assert.equal((await ask(gate.url())).text, "well");
});

describe("the queue of a busy service", () => {
  const owner = suite();
  const slots = new Held();
  const pool = new Held();
  let gate: Gateway;

  before(async () => {
    const busy = await origin(owner, slots.handle);
    const narrow = await origin(owner, pool.handle);
    gate = await gateway(owner, {
      services: {
        busy: { upstreams: [busy.url], health, requestsMax: 1, queueMax: 1, queueMs: 400 },
        narrow: { upstreams: [narrow.url], health, connectionsMax: 1, queueMs: 60_000 },
      },
      sites: { "*": { "/": "busy", "/narrow": "narrow" } },
    });
    await gate.ready();
  });

  it("is bounded, has a deadline, and says when to come again", async () => {
    const first = ask(gate.url());
    await slots.until(1);
    const second = ask(gate.url());
    await until("the second to wait", async () => (await gate.service("busy")).waiting === 1);
    const third = await ask(gate.url());
    assert.equal(third.status, 503, "it is full");
    assert.match(String(third.headers["retry-after"]), /^\d+$/);
    assert.equal((await gate.service("busy")).counters!["queueRefusals"], 1);
    const late = await second;
    assert.equal(late.status, 503, "its time is over");
    assert.match(String(late.headers["retry-after"]), /^\d+$/);
    assert.equal((await gate.service("busy")).counters!["queueTimeouts"], 1);
    slots.release();
    assert.equal((await first).text, "released");
  });

  it("with one connection to an instance, requests follow one another", async () => {
    const answers = [ask(`${gate.url()}/narrow`), ask(`${gate.url()}/narrow`)];
    await pool.until(1);
    await until("the second to wait", async () => (await gate.service("narrow")).waiting === 1);
    assert.equal(pool.count, 1);
    pool.release();
    await pool.until(1);
    pool.release();
    assert.deepEqual(
      (await Promise.all(answers)).map(({ text }) => text),
      ["released", "released"],
    );
  });
});

describe("clients that dawdle over their bodies", () => {
  const owner = suite();
  let gate: Gateway;

  before(async () => {
    const { url } = await origin(owner);
    gate = await gateway(owner, {
      services: { api: { upstreams: [url], health, connectionsMax: 4, uploadsShare: 0.25, queueMs: 60_000 } },
      sites: { "*": { "/": "api" } },
    });
    await gate.ready();
  });

  it("have their share of the connections, and hold up each other alone", async () => {
    const upload = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nha";
    const first = await Line.open(owner, gate.port());
    const second = await Line.open(owner, gate.port());
    first.send(upload);
    await until("the first to be under way", async () => (await gate.service("api")).instances[0]!.active === 1);
    second.send(upload);
    await until("the second to wait", async () => (await gate.service("api")).waiting === 1);
    assert.equal(await statusOf(gate.url()), 200);
    assert.equal((await gate.service("api")).waiting, 1);
    first.send("lf");
    await first.expect(/^HTTP\/1\.1 200 [\s\S]*half/);
    second.send("lf");
    await second.expect(/^HTTP\/1\.1 200 [\s\S]*half/);
  });
});

describe("limits of time", () => {
  const owner = suite();
  let gate: Gateway;

  before(async () => {
    const silent = await origin(owner, () => {});
    const stopping = await origin(owner, (_, answer) => {
      answer.writeHead(200, { "content-length": 100 }).write("half");
    });
    const quick = await origin(owner, (_, answer) => void answer.end("quick"));
    gate = await gateway(owner, {
      limits: { headTimeoutMs: 300, idleTimeoutMs: 600, bodyProgressMs: 300, bodyProgressBytes: 1_000 },
      services: {
        silent: { upstreams: [silent.url], health, firstByteMs: 100, retries: { max: 0 } },
        stopping: { upstreams: [stopping.url], health, streamIdleMs: 100 },
        quick: { upstreams: [quick.url], health, keepAliveMs: 100 },
      },
      sites: { "*": { "/": "quick", "/silent": "silent", "/stopping": "stopping" } },
    });
    await gate.ready();
  });

  it("no first byte of an answer in time: 504", async () => {
    assert.equal(await statusOf(`${gate.url()}/silent`), 504);
  });

  it("an answer that pauses too long is broken off, and does not look whole", async () => {
    await assert.rejects(ask(`${gate.url()}/stopping`), /body length does not match/);
  });

  it("idle connections to instances are let go", async () => {
    assert.equal((await ask(gate.url())).text, "quick");
    await until("no connection to be left", async () => {
      const [instance] = (await gate.service("quick")).instances;
      return (instance as unknown as { connections: number }).connections === 0;
    });
  });

  it("a head that does not end, a body without progress: 408; an idle connection is closed", async () => {
    const slowHead = await Line.open(owner, gate.port());
    const slowBody = await Line.open(owner, gate.port());
    const idle = await Line.open(owner, gate.port());
    slowHead.send("GET / HTTP/1.1\r\nHost: a");
    slowBody.send("POST /silent HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nten bytes.");
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await slowHead.expect(/^HTTP\/1\.1 408 /);
    await slowBody.expect(/^HTTP\/1\.1 408 /);
    await idle.expect(/^HTTP\/1\.1 200 [\s\S]*quick/);
    for (const line of [slowHead, slowBody, idle]) await line.over();
  });
});

test("a client that does not read its answer is gone after its time", async (t) => {
  const { url } = await origin(t, (_, answer) => {
    answer.on("error", () => {});
    for (let piece = 0; piece < 64; piece++) answer.write(Buffer.alloc(1 << 20));
  });
  const gate = await gateway(t, {
    limits: { responseStallMs: 300 },
    services: { big: { upstreams: [url], health } },
    sites: { "*": { "/": "big" } },
  });
  const socket = connect(gate.port(), "127.0.0.1").on("error", () => {});
  t.after(() => socket.destroy());
  socket.pause();
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await gate.line("the request", ({ msg, rule }) => msg === "request refused" && rule === "STALLED");
});

test("an instance that takes no connection in time is passed over", async (t) => {
  // Stopped, it accepts nothing; what its kernel takes on its behalf is soon full.
  const child = spawn(process.execPath, [
    "-e",
    `const s = require("node:http").createServer((_, a) => a.end("slow"));
     s.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => console.log(s.address().port));`,
  ]);
  t.after(async () => {
    child.kill("SIGKILL");
    if (child.signalCode === null) await once(child, "exit");
  });
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  const port = Number(String(said));
  const good = await origin(t, (_, answer) => void answer.end("good"));
  const gate = await gateway(t, {
    services: {
      api: { upstreams: [`http://127.0.0.1:${port}`, good.url], health, connectMs: 200, balance: "round-robin" },
      alone: { upstreams: [`http://127.0.0.1:${port}`], health, connectMs: 200, queueMs: 200 },
    },
    sites: { "*": { "/": "api", "/alone": "alone" } },
  });
  await gate.ready();
  child.kill("SIGSTOP");
  await until("its backlog to be full", async () => {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    t.after(() => socket.destroy());
    const taken = once(socket, "connect", { signal: AbortSignal.timeout(500) });
    return taken.then(
      () => false,
      () => true,
    );
  });
  for (let turn = 0; turn < 3; turn++) assert.equal((await ask(gate.url())).text, "good");
  assert.ok([503, 504].includes(await statusOf(`${gate.url()}/alone`)));
});
