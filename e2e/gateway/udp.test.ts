/** Issue 3, "UDP services": a listener that carries one, balanced and health-checked, with sessions by address. */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { before, describe, it } from "node:test";
import { requires } from "@tideway/scripts/requires";
import { ask, freePort, type Gateway, gateway, type Owner, origin, run, suite, until } from "./harness.ts";

async function socketFor(t: Owner): Promise<Socket> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  t.after(() => socket.close());
  return socket;
}

/** Answers each datagram with its name and what it heard; `silence` is never answered. */
async function udpOrigin(t: Owner, name: string): Promise<number> {
  const socket = await socketFor(t);
  socket.on("message", (text, from) => {
    if (String(text) !== "silence") socket.send(`${name} heard ${text}`, from.port, from.address);
  });
  return socket.address().port;
}

/** One client with one address: what it asks again and again until there is an answer, for datagrams may be lost. */
class Client {
  readonly socket: Socket;
  readonly heard: string[] = [];

  constructor(socket: Socket) {
    this.socket = socket.on("message", (text) => this.heard.push(String(text)));
  }

  async ask(port: number, text: string): Promise<string> {
    return until(`an answer to ${text}`, async () => {
      this.socket.send(text, port, "127.0.0.1");
      return this.heard.find((answer) => answer.endsWith(` ${text}`));
    });
  }
}

describe("UDP services", () => {
  const owner = suite();
  const probed = { passes: true };
  let gate: Gateway;
  const served: Record<string, number> = {};
  let ids: Record<string, string>;

  before(async () => {
    const [a, b] = [await udpOrigin(owner, "a"), await udpOrigin(owner, "b")];
    ids = { a: `127.0.0.1:${a}`, b: `127.0.0.1:${b}` };
    const http = await origin(owner, undefined, {
      probe: (_, answer) => void answer.writeHead(probed.passes ? 200 : 500).end(),
    });
    const upstreams = [ids["a"]!, ids["b"]!];
    gate = await gateway(owner, {
      log: { level: "debug" },
      console: { port: 0, metrics: "open" },
      listen: [
        { port: 0, udp: { name: "pair", upstreams, balance: "round-robin", drainMs: 0 } },
        { port: 0, udp: { name: "dns", upstreams, responses: 1 } },
        { port: 0, udp: { name: "idle", upstreams, idleMs: 200 } },
        { port: 0, udp: { name: "one", upstreams, sessionsMax: 1 } },
        {
          port: 0,
          udp: {
            name: "checked",
            upstreams: [ids["a"]!],
            health: { kind: "http", path: "/live", everyMs: 20, jitter: 0 },
            healthPort: http.port,
          },
        },
        { port: 0, udp: { name: "gone", upstreams: [`127.0.0.1:${await freePort()}`, ids["b"]!] } },
      ],
    });
    for (const { service, address } of (await gate.status()).streams) {
      served[service] = Number(address.slice(address.lastIndexOf(":") + 1));
    }
    await gate.ready("checked");
  });

  const client = async () => new Client(await socketFor(owner));
  const sessions = async (name: string) => {
    return (await gate.status()).streams.find(({ service }) => service === name)!.counters;
  };

  it("each client has a session with one instance, and gets its answers from where it asked", async () => {
    const names = new Set<string>();
    for (let turn = 0; turn < 2; turn++) {
      const one = await client();
      const first = await one.ask(served["pair"]!, "first");
      for (const text of ["second", "third"]) assert.equal((await one.ask(served["pair"]!, text))[0], first[0]);
      names.add(first[0]!);
    }
    assert.deepEqual(names, new Set(["a", "b"]), "clients go round");
  });

  it("a session ends when its answers are there, or when nothing has passed for a while", async () => {
    await (await client()).ask(served["dns"]!, "question");
    await until("the session to end", async () => (await sessions("dns"))["sessions"] === 0);
    await gate.line("why", ({ service, end }) => service === "dns" && end === "answered");
    await (await client()).ask(served["idle"]!, "question");
    await gate.line("why", ({ service, end }) => service === "idle" && end === "idle");
    assert.equal((await sessions("idle"))["sessions"], 0);
  });

  it("there are so many sessions at once: the quiet one makes room", async () => {
    await (await client()).ask(served["one"]!, "first");
    await (await client()).ask(served["one"]!, "second");
    const counters = await sessions("one");
    assert.deepEqual([counters["sessions"], counters["displaced"]], [1, 1]);
  });

  it("instances are probed where somebody says how, and left where nobody listens", async () => {
    await (await client()).ask(served["checked"]!, "first");
    probed.passes = false;
    await until("it to be down", async () => (await gate.service("checked")).instances[0]!.state === "down");
    const earlier = (await sessions("checked"))["unserved"]!;
    const asking = await client();
    asking.socket.send("nobody", served["checked"]!, "127.0.0.1");
    await until("it to be dropped", async () => (await sessions("checked"))["unserved"]! > earlier);
    for (let turn = 0; turn < 4; turn++) assert.match(await (await client()).ask(served["gone"]!, `${turn}`), /^b/);
  });

  it("/metrics counts sessions and datagrams", async () => {
    const { text } = await ask(`${gate.running.addresses.console!.address}metrics`);
    const labels = `{tideway_listener="127.0.0.1:${served["one"]}",network_transport="udp",tideway_service="one"}`;
    assert.match(text, new RegExp(`^tideway_stream_accepted_total${labels} 2$`, "m"));
    assert.match(text, new RegExp(`^tideway_stream_displaced_sessions_total${labels} 1$`, "m"));
  });

  it("`tideway instance` drains, `tideway status` shows them", async () => {
    const { code, stderr } = await gate.command("instance", "pair", ids["a"]!, "--drain");
    assert.equal(code, 0, stderr);
    for (let turn = 0; turn < 3; turn++) assert.match(await (await client()).ask(served["pair"]!, "x"), /^b/);
    const { stdout } = await gate.command("status");
    assert.match(stdout, new RegExp(`127\\.0\\.0\\.1:${served["dns"]} +udp +dns +0 +[1-9]`));
    assert.match(stdout, new RegExp(`pair +${ids["a"]} +draining`));
  });
});

describe("a name server behind", { skip: requires("dig") }, () => {
  it("answers dig: Tideway's own, behind Tideway", async (t) => {
    const zones = { "x.test": { www: { A: "192.0.2.7" } } };
    const inner = await gateway(t, {
      services: { pong: { respond: { body: "pong" } } },
      sites: { "x.test": { "/": "pong" } },
      names: { listen: { port: 0 }, zones },
    });
    const upstreams = [inner.running.addresses.names!];
    const outer = await gateway(t, { listen: [{ port: 0, udp: { name: "names", upstreams, responses: 1 } }] });
    const port = await outer.streamPort("names");
    assert.match(await run("dig", `-p${port}`, "@127.0.0.1", "www.x.test", "+short"), /^192\.0\.2\.7$/m);
  });
});
