/** Issue 3, "Health": probes, ejection, slow start, what is said when all are down, and names. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { before, describe, it, test } from "node:test";
import { requires } from "@tideway/scripts/requires";
import {
  ask,
  type Gateway,
  gateway,
  type Origin,
  type Owner,
  origin,
  origins,
  statusOf,
  suite,
  until,
} from "./harness.ts";

/** Nothing but requests tells how an instance does: the first probe passes, and the next one is far off. */
const quiet = { everyMs: 600_000 } as const;
/** Probes come so often that a test need not wait for them. */
const often = { everyMs: 20, jitter: 0 } as const;
const long = { backoffMs: 600_000, backoffMaxMs: 600_000 } as const;

describe("probes", () => {
  const owner = suite();
  const probes: IncomingMessage[] = [];
  const held: ServerResponse[] = [];
  const says = { text: "starting", passes: true, since: 0 };
  let strict: Origin;
  let unheard: Origin;
  let counting: Origin;
  let gate: Gateway;

  before(async () => {
    strict = await origin(owner, undefined, {
      probe: (incoming, answer) => {
        probes.push(incoming);
        answer.writeHead(incoming.url === "/live" ? 204 : 200).end();
      },
    });
    const speaking = await origin(owner, undefined, { probe: (_, answer) => void answer.end(`I am ${says.text}.`) });
    unheard = await origin(owner, undefined, { probe: (_, answer) => void held.push(answer) });
    counting = await origin(owner, undefined, {
      probe: (_, answer) => {
        says.since++;
        answer.writeHead(says.passes ? 200 : 500).end();
      },
    });
    const wrong = await origin(owner, undefined, { probe: (_, answer) => void answer.writeHead(200).end() });
    const down = { queueMs: 50, whenDown: { status: 503, body: "asleep", type: "text/html", retryAfterSeconds: 7 } };
    gate = await gateway(owner, {
      services: {
        strict: {
          upstreams: [strict.url],
          health: { path: "/live", method: "HEAD", host: "probe.test", status: [204, "301-302"] },
        },
        wrong: { upstreams: [wrong.url], health: { ...often, status: 204 }, ...down },
        speaking: { upstreams: [speaking.url], health: { ...often, body: "I am ready" }, queueMs: 50 },
        unheard: { upstreams: [unheard.url], health: { timeoutMs: 60_000 }, queueMs: 100 },
        late: { upstreams: [unheard.url], health: { timeoutMs: 50, ...often }, queueMs: 50 },
        counting: { upstreams: [counting.url], health: { ...often, rise: 3, fall: 4 }, queueMs: 60_000 },
      },
      sites: {
        "*": Object.fromEntries(
          ["strict", "wrong", "speaking", "unheard", "late", "counting"].map((name) => [`/${name}`, name]),
        ),
      },
    });
  });

  it("ask for the path, with the method and the host that are configured, and judge by the status", async () => {
    assert.equal(await statusOf(`${gate.url()}/strict`), 200);
    const { url, method, headers } = probes[0]!;
    assert.deepEqual([url, method, headers.host], ["/live", "HEAD", "probe.test"]);
  });

  it("an instance that answers something else is never used; the answer when all are down is the configured one", async () => {
    const answer = await ask(`${gate.url()}/wrong`);
    assert.deepEqual([answer.status, answer.text], [503, "asleep"]);
    assert.deepEqual([answer.headers["retry-after"], answer.headers["content-type"]], ["7", "text/html"]);
    const { instances } = await gate.service("wrong");
    assert.deepEqual([instances[0]!.state, instances[0]!.counters!.requests], ["checking", 0]);
    assert.match(instances[0]!.why!, /200/);
  });

  it("the body must hold the text that is configured", async () => {
    assert.equal(await statusOf(`${gate.url()}/speaking`), 503);
    says.text = "ready";
    await until("the instance to be used", async () => (await statusOf(`${gate.url()}/speaking`)) === 200);
    says.text = "starting";
    await until("it not to be used", async () => (await statusOf(`${gate.url()}/speaking`)) === 503);
  });

  it("an instance is checking until its first probe is answered, and never used before", async () => {
    assert.equal(await statusOf(`${gate.url()}/unheard`), 503, "it waited for its queueMs");
    assert.equal((await gate.service("unheard")).instances[0]!.state, "checking");
    assert.equal(unheard.seen.length, 0);
    await until("the late one to have given up", async () => (await gate.service("late")).instances[0]!.why !== "");
    assert.match((await gate.service("late")).instances[0]!.why!, /no answer|time|50 ms/);
    for (const answer of held) answer.end();
    await until("it to be used", async () => (await statusOf(`${gate.url()}/unheard`)) === 200);
  });

  it("`rise` probes in a row bring an instance in, `fall` take it out", async () => {
    await gate.ready("counting");
    assert.ok(says.since >= 3, `after ${says.since} probes`);
    says.passes = false;
    says.since = 0;
    await until("it to be down", async () => (await gate.service("counting")).instances[0]!.state === "down");
    assert.ok(says.since >= 4, `after ${says.since} probes`);
  });
});

describe("ejection", () => {
  const owner = suite();
  const bad: Record<string, RequestListener> = {
    unanswered: (incoming) => incoming.socket.destroy(),
    status: (_, answer) => void answer.writeHead(500).end("bad"),
    share: (incoming, answer) => void answer.writeHead(Number(incoming.url?.slice(-3))).end("bad"),
    slow: (_, answer) => void setTimeout(() => answer.end("slow"), 80),
    spared: (_, answer) => void answer.writeHead(500).end("bad"),
    kept: (_, answer) => void answer.writeHead(500).end("bad"),
    back: (incoming, answer) => (failing.back ? void incoming.socket.destroy() : void answer.end("well again")),
  };
  const failing = { back: true };
  const behind: Record<string, Origin> = {};
  let gate: Gateway;

  before(async () => {
    let probes = 0;
    // An instance that is taken out is probed at once: that this one would pass is another story.
    const probe: RequestListener = (incoming, answer) =>
      probes++ === 0 ? void answer.end("fine") : void incoming.socket.destroy();
    for (const [name, handle] of Object.entries(bad))
      behind[name] = await origin(owner, handle, name === "unanswered" ? { probe } : {});
    const good = await origin(owner, (_, answer) => void answer.end("good"));
    const both = (name: string) => ({
      upstreams: [behind[name]!.url, good.url],
      balance: "round-robin" as const,
      health: quiet,
    });
    gate = await gateway(owner, {
      log: { requests: false },
      services: {
        unanswered: { ...both("unanswered"), eject: { failures: 2, ...long } },
        status: { ...both("status"), eject: { failures: 3, statuses: [500, "502-599"], ...long } },
        share: {
          ...both("share"),
          eject: { failures: 0, statuses: 500, failureShare: 0.5, windowMs: 600_000, requestsMin: 4, ...long },
        },
        slow: {
          ...both("slow"),
          eject: { latencyFactor: 3, latencyMinMs: 20, samplesMin: 3, ...long },
        },
        spared: { ...both("spared"), eject: { failures: 1, statuses: 500, shareMax: 0, ...long } },
        kept: { ...both("kept"), upstreams: [behind["kept"]!.url], eject: { failures: 1, statuses: 500, ...long } },
        back: { ...both("back"), eject: { failures: 1, backoffMs: 30, backoffMaxMs: 60 } },
      },
      sites: { "*": Object.fromEntries(Object.keys(bad).map((name) => [`/${name}`, { to: name, strip: true }])) },
    });
    await gate.ready();
  });

  const stateOf = async (name: string) => (await gate.instance(name, behind[name]!.id)).state;
  const askOften = async (path: string, times: number) => {
    const texts: string[] = [];
    for (let turn = 0; turn < times; turn++) texts.push((await ask(gate.url() + path)).text);
    return texts;
  };

  it("requests in a row without an answer, while clients get theirs from another", async () => {
    assert.ok((await askOften("/unanswered", 8)).every((text) => text === "good"));
    const { id, seen } = behind["unanswered"]!;
    const { state, counters } = await gate.instance("unanswered", id);
    assert.deepEqual([state, counters!.ejections, seen.length], ["down", 1, 2]);
    await gate.line("why", ({ instance, why }) => instance === id && /^request: /.test(String(why)));
  });

  it("statuses that count as failures", async () => {
    const texts = await askOften("/status", 12);
    assert.equal(texts.filter((text) => text === "bad").length, 3);
    assert.equal(await stateOf("status"), "down");
    assert.equal((await gate.instance("status", behind["status"]!.id)).why, "request: status 500");
  });

  it("a share of the requests of a window", async () => {
    await askOften("/share/200", 4);
    await askOften("/share/500", 2);
    assert.equal(await stateOf("share"), "up", "one of three");
    await askOften("/share/500", 2);
    assert.equal(await stateOf("share"), "down", "two of four");
  });

  it("latency far over that of the others", async () => {
    await until("the slow one to be out", async () => {
      await askOften("/slow", 2);
      return (await stateOf("slow")) === "down";
    });
    assert.match((await gate.instance("slow", behind["slow"]!.id)).why!, /^latency /);
  });

  it("never more than a share of the instances, and never the last one", async () => {
    const texts = await askOften("/spared", 8);
    assert.equal(texts.filter((text) => text === "bad").length, 4);
    assert.equal(await stateOf("spared"), "up");
    assert.deepEqual(await askOften("/kept", 4), ["bad", "bad", "bad", "bad"]);
    assert.equal(await stateOf("kept"), "up");
  });

  it("ends with a trial after its backoff", async () => {
    assert.deepEqual(await askOften("/back", 2), ["good", "good"]);
    assert.equal(behind["back"]!.seen.length, 1);
    failing.back = false;
    await until("it to be tried", async () => (await askOften("/back", 1))[0] === "well again");
    assert.equal(await stateOf("back"), "up");
  });
});

test("slow start: an instance that came up has a growing share", async (t) => {
  const [old, young] = (await origins(t, 2)) as [Origin, Origin];
  const services = (upstreams: string[]) => ({
    api: { upstreams, balance: "weighted" as const, slowStartMs: 3_600_000 },
  });
  const sites = { "*": { "/": "api" } };
  const gate = await gateway(t, { services: services([old.url]), sites });
  await gate.ready();
  await gate.reload({ services: services([old.url, young.url]), sites });
  await gate.ready();
  for (let turn = 0; turn < 20; turn++) await ask(gate.url());
  const { weight, weightNow } = await gate.instance("api", young.id);
  assert.ok(weight === 1 && weightNow! < 0.2, `${weightNow} of ${weight}`);
});

test("dead and unresolvable upstreams at the start: only their routes answer 503, until they are there", async (t) => {
  const gone = await origin(t);
  await gone.close();
  const alive = await origin(t);
  const gate = await gateway(t, {
    services: {
      dead: { upstreams: [gone.url], health: often, queueMs: 50 },
      nameless: { upstreams: ["http://no-such-host.invalid:80"], queueMs: 50 },
      named: { upstreams: [{ url: `http://localhost:${alive.port}`, weight: 2 }], health: often },
    },
    sites: { "*": { "/dead": "dead", "/nameless": "nameless", "/named": "named" } },
  });
  const refused = await ask(`${gate.url()}/dead`, { headers: { accept: "application/json" } });
  assert.equal(refused.status, 503);
  assert.match(String(refused.headers["retry-after"]), /^\d+$/);
  assert.match(refused.text, /"HTTP_UNAVAILABLE"[^}]*dead/);
  assert.ok(!refused.text.includes("127.0.0.1"), "clients are told no addresses");
  assert.equal(await statusOf(`${gate.url()}/nameless`), 503);
  assert.equal(await statusOf(`${gate.url()}/named`), 200);

  const { names } = (await gate.service("nameless")) as unknown as { names: { name: string; fault: string }[] };
  assert.equal(names[0]!.name, "no-such-host.invalid");
  assert.notEqual(names[0]!.fault, "");
  const named = (await gate.service("named")).instances.find(({ state }) => state === "up")!;
  assert.equal(named.id, `localhost:${alive.port}/127.0.0.1`);

  await origin(t, undefined, { port: gone.port });
  await until("the dead one to be back", async () => (await statusOf(`${gate.url()}/dead`)) === 200);
});

/** A name server that knows the address of every name, for a second (RFC 1035 §4.1). */
async function nameServer(t: Owner, known: { address: string }): Promise<number> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  t.after(() => socket.close());
  socket.on("message", (query, from) => {
    const end = query.indexOf(0, 12) + 5;
    const isAddress = query.readUInt16BE(end - 4) === 1;
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(0x8180, 2);
    for (const [at, count] of [1, isAddress ? 1 : 0, 0, 0].entries()) head.writeUInt16BE(count, 4 + 2 * at);
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...known.address.split(".").map(Number)]);
    const answer = [head, query.subarray(12, end), ...(isAddress ? [record] : [])];
    socket.send(Buffer.concat(answer), from.port, from.address);
  });
  return socket.address().port;
}

const mayMount = process.getuid?.() === 0 ? false : "only root may name another name server";

test("a name is asked again as it expires: requests follow it to another address", {
  skip: mayMount || requires("unshare"),
}, async (t) => {
  const known = { address: "127.0.0.1" };
  const servers = join(mkdtempSync(join(tmpdir(), "tideway-resolv-")), "resolv.conf");
  t.after(() => rmSync(dirname(servers), { recursive: true }));
  writeFileSync(servers, `nameserver 127.0.0.1:${await nameServer(t, known)}\n`);
  const here = await origin(t);
  const there = await origin(t, undefined, { host: "127.0.0.2", port: here.port });
  const mount = `mount --bind "${servers}" /etc/resolv.conf && exec "$@"`;
  const config = {
    services: { api: { upstreams: [`http://moving.test:${here.port}`] } },
    sites: { "*": { "/": "api" } },
  };
  const gate = await gateway(t, config, ["unshare", "-m", "sh", "-c", mount, "sh"]);
  const answering = async () => (await ask(gate.url())).echo.origin;
  assert.equal(await answering(), here.id);
  known.address = "127.0.0.2";
  await until("requests to follow", async () => (await answering()) === there.id, 30_000);
  const [instance, ...others] = (await gate.service("api")).instances;
  assert.deepEqual([instance!.id, others], [`moving.test:${here.port}/127.0.0.2`, []]);
});
