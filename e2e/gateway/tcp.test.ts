/** Issue 3, "TCP services": a listener that carries one, balanced, health-checked, bounded, with half-close and PROXY headers. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { before, describe, it } from "node:test";
import { requires } from "@tideway/scripts/requires";
import type { TidewayConfig } from "tideway";
import {
  ask,
  curl,
  freePort,
  type Gateway,
  gateway,
  haproxy,
  Line,
  nginx,
  type Origin,
  origin,
  peer,
  suite,
  tcpOrigin,
  until,
} from "./harness.ts";

/** Says its name, then answers whole questions only: after the end of what it was asked. */
function answering(name: string): (socket: Socket) => void {
  return (socket) => {
    let asked = "";
    socket.write(`${name}:`);
    socket.on("data", (bytes) => {
      asked += bytes.toString("latin1");
      if (asked.includes("\n")) socket.write(`${name} heard ${asked.length} bytes\n`);
    });
    socket.on("end", () => socket.end(`${name} answers ${asked}`));
  };
}

describe("TCP services", () => {
  const owner = suite();
  const probed = { passes: true };
  const served: Record<string, number> = {};
  let ports: Record<"a" | "b" | "c", number>;
  let http: Origin;
  let gate: Gateway;

  before(async () => {
    const [a, b, c] = await Promise.all(["a", "b", "c"].map((name) => tcpOrigin(owner, answering(name))));
    ports = { a: a!, b: b!, c: c! };
    http = await origin(owner, (_, answer) => void answer.end("over TCP"), {
      probe: (incoming, answer) => void answer.writeHead(probed.passes ? 200 : 500).end(incoming.url),
    });
    const dead = await freePort();
    const upstreams = [`127.0.0.1:${a}`, `127.0.0.1:${b}`];
    const long = { backoffMs: 600_000, backoffMaxMs: 600_000 };
    const tcp = {
      pair: { upstreams },
      turns: { upstreams, balance: "round-robin" },
      shares: { upstreams: [{ address: upstreams[0]!, weight: 3 }, upstreams[1]!], balance: "weighted" },
      hashed: { upstreams: [...upstreams, `127.0.0.1:${c}`], balance: { hash: "address", load: 4 } },
      web: { upstreams: [`localhost:${http.port}`] },
      idle: { upstreams, idleMs: 300 },
      few: { upstreams, connectionsMax: 1 },
      crowded: { upstreams, connectionsPerAddressMax: 1 },
      busy: { upstreams: [upstreams[0]!], requestsMax: 1 },
      checked: { upstreams, health: { kind: "http", path: "/live", everyMs: 20, jitter: 0 }, healthPort: http.port },
      dead: { upstreams: [`127.0.0.1:${dead}`], connectMs: 500 },
      half: {
        upstreams: [`127.0.0.1:${dead}`, upstreams[1]!],
        balance: "round-robin",
        health: { everyMs: 600_000 },
        eject: { failures: 1, ...long },
        breaker: { requestsMin: 100 },
        slowStartMs: 1_000,
      },
      draining: { upstreams, drainMs: 100 },
    } as const;
    const listen = Object.entries(tcp).map(([name, options]) => {
      return { port: 0, tcp: { name, ...options }, proxyProtocol: name === "crowded" };
    });
    gate = await gateway(owner, { listen: listen as unknown as NonNullable<TidewayConfig["listen"]> });
    for (const { service, address } of (await gate.status()).streams) {
      served[service] = Number(address.slice(address.lastIndexOf(":") + 1));
    }
    await gate.ready(...Object.keys(tcp).filter((name) => !["dead", "half", "web"].includes(name)));
  });

  const open = (name: string, from?: string) => Line.open(owner, served[name]!, from);
  /** Which one serves the next connection. */
  const next = async (name: string, from?: string): Promise<string> => {
    const line = await open(name, from);
    const [said] = await line.expect(/^[abc]:/);
    line.socket.destroy();
    return said[0]!;
  };

  /** What a connection is told first; empty when it is refused: by a reset, perhaps at once. */
  const knock = async (name: string, hello = ""): Promise<string> => {
    const line = await open(name).catch(() => null);
    if (line === null) return "";
    line.send(hello);
    await until("an answer, or the end", async () => line.text !== "" || line.ended || line.broken);
    return line.text;
  };

  it("bytes pass both ways, and each side ends for itself", async () => {
    const line = await open("pair");
    line.send("a question\n");
    await line.expect(/heard 11 bytes\n$/);
    line.socket.end("and its end");
    await line.expect(/answers a question\nand its end$/);
    await line.over();
    assert.ok(!line.broken);
  });

  it("policies: whoever has least to do, in turn, by weight, by the client's address", async () => {
    const first = await open("pair");
    const [busy] = await first.expect(/^[ab]/);
    assert.notEqual(await next("pair"), busy[0]);
    const turns = [await next("turns"), await next("turns"), await next("turns"), await next("turns")];
    assert.deepEqual(turns.slice(0, 2), turns.slice(2));
    assert.notEqual(turns[0], turns[1]);
    const shares: string[] = [];
    for (let turn = 0; turn < 8; turn++) shares.push(await next("shares"));
    assert.equal(shares.filter((name) => name === "a").length, 6);
    const byAddress = new Set<string>();
    for (let host = 1; host <= 12; host++) {
      const name = await next("hashed", `127.0.2.${host}`);
      assert.equal(await next("hashed", `127.0.2.${host}`), name);
      byAddress.add(name);
    }
    assert.ok(byAddress.size > 1);
  });

  it("curl reads a web server behind it, by name", { skip: requires("curl") }, async () => {
    await until("the name to be resolved", async () => {
      return (await gate.service("web")).instances.some(({ state }) => state === "up");
    });
    assert.equal(await curl(`http://127.0.0.1:${served["web"]}/`), "over TCP");
  });

  it("health: by a path on a port of its own; a dead one is passed over, ejected, and named", async () => {
    assert.match(await next("checked"), /[ab]/);
    probed.passes = false;
    await until("all to be down", async () => {
      return (await gate.service("checked")).instances.every(({ state }) => state === "down");
    });
    assert.equal(await knock("checked"), "");
    probed.passes = true;
    await gate.ready("checked");

    assert.equal(await knock("dead"), "");
    assert.match((await gate.service("dead")).instances[0]!.why!, /ECONNREFUSED|refused/);
    for (let turn = 0; turn < 3; turn++) assert.equal(await next("half"), "b");
  });

  it("bounds: connections in all, of one address, at one instance; an idle one is closed", async () => {
    const only = await open("few");
    await only.expect(/^[ab]:/);
    assert.equal(await knock("few"), "");
    only.socket.destroy();
    await until("its place to be free", async () => (await knock("few")) !== "");

    const claim = async (address: string) =>
      (await knock("crowded", `PROXY TCP4 ${address} 192.0.2.1 4000 80\r\n`)) !== "";
    assert.deepEqual(
      [await claim("198.51.100.1"), await claim("198.51.100.1"), await claim("198.51.100.2")],
      [true, false, true],
    );

    const slot = await open("busy");
    await slot.expect(/^a:/);
    assert.equal(await knock("busy"), "");

    const idle = await open("idle");
    await idle.expect(/^[ab]:/);
    await idle.over();
  });

  it("`tideway instance` drains and weights; what is under way may go on for drainMs", async () => {
    const line = await open("draining");
    const [name] = (await line.expect(/^[ab]/)) as unknown as ["a" | "b"];
    const drained = await gate.command("instance", "draining", `127.0.0.1:${ports[name]}`, "--drain");
    assert.equal(drained.code, 0, drained.stderr);
    for (let turn = 0; turn < 4; turn++) assert.notEqual(await next("draining"), name);
    await line.over();
    const weighted = await gate.command("instance", "shares", `127.0.0.1:${ports.a}`, "--weight", "0.5");
    assert.equal(weighted.code, 0, weighted.stderr);
    assert.equal((await gate.instance("shares", `127.0.0.1:${ports.a}`)).weight, 0.5);
    const wrong = await gate.command("instance", "no-such", "127.0.0.1:1", "--drain");
    assert.match(wrong.stderr, /no service with instances[\s\S]*pair \| turns/);
  });

  it("the log and the status tell of connections", async () => {
    await gate.line("a connection", ({ service, msg }) => service === "idle" && msg === "connection ended: idle");
    const { streams } = await gate.status();
    const { counters } = streams.find(({ service }) => service === "idle")!;
    assert.deepEqual([counters["idled"], counters["connections"]], [1, 0]);
  });
});

describe("a TCP service whose instances fail, or are new", () => {
  it("its breaker refuses at once, also when the instance is back", async (t) => {
    const instance = createServer((socket) => socket.on("error", () => {}).end("here")).listen(0, "127.0.0.1");
    t.after(() => instance.close());
    await once(instance, "listening");
    const { port } = instance.address() as AddressInfo;
    const long = 600_000;
    const tcp = {
      upstreams: [`127.0.0.1:${port}`],
      health: { everyMs: long },
      eject: { failures: 0 },
      breaker: { requestsMin: 2, openMs: long },
    };
    const gate = await gateway(t, { listen: [{ port: 0, tcp: { name: "db", ...tcp } }] });
    await gate.ready();
    const at = await gate.streamPort("db");
    const knock = async (): Promise<string> => {
      const line = await Line.open(t, at).catch(() => null);
      await line?.over();
      return line?.text ?? "";
    };
    instance.close();
    await once(instance, "close");
    assert.deepEqual([await knock(), await knock()], ["", ""]);
    await until("the breaker to be open", async () => (await gate.service("db")).breaker === "open");
    instance.listen(port, "127.0.0.1");
    await once(instance, "listening");
    assert.equal(await knock(), "");
    const { counters, instances } = await gate.service("db");
    assert.deepEqual([counters!["breakerRefusals"], instances[0]!.state], [1, "up"]);
  });

  it("with slowStartMs a new one begins with a tenth of its share", async (t) => {
    const [a, b] = [await tcpOrigin(t, answering("a")), await tcpOrigin(t, answering("b"))];
    const config = (upstreams: string[]): TidewayConfig => {
      const tcp = { name: "db", upstreams, balance: "weighted", slowStartMs: 600_000 } as const;
      return { listen: [{ port: 0, tcp: upstreams.length === 1 ? { ...tcp, slowStartMs: undefined } : tcp }] };
    };
    const gate = await gateway(t, config([`127.0.0.1:${a}`]));
    await gate.ready();
    await gate.reload(config([`127.0.0.1:${a}`, `127.0.0.1:${b}`]));
    await gate.ready();
    const at = await gate.streamPort("db");
    const heard: Record<string, number> = {};
    for (let turn = 0; turn < 11; turn++) {
      const line = await Line.open(t, at);
      const [name] = await line.expect(/^[ab]/);
      heard[name] = (heard[name] ?? 0) + 1;
      line.socket.destroy();
    }
    assert.deepEqual(heard, { a: 10, b: 1 });
    assert.ok((await gate.instance("db", `127.0.0.1:${b}`)).weightNow! < 0.2);
  });

  it("their connections are lines of the log as long as requests are", async (t) => {
    const port = await tcpOrigin(t, answering("a"));
    const { url } = await origin(t, (_, answer) => void answer.end("web"));
    const config = (requests: boolean): TidewayConfig => ({
      listen: [{ port: 0, tcp: { name: "db", upstreams: [`127.0.0.1:${port}`] } }, { port: 0 }],
      services: { web: { upstreams: [url] } },
      sites: { "*": { "/": "web" } },
      log: { requests },
    });
    const gate = await gateway(t, config(true));
    await gate.ready();
    const pass = async () => {
      const line = await Line.open(t, await gate.streamPort("db"));
      await line.expect(/^a:/);
      line.socket.end();
      await line.over();
    };
    const lines = () => gate.lines(({ msg }) => /^connection/.test(String(msg)));
    await pass();
    const told = await gate.line("the connection", ({ msg }) => msg === "connection ended: clean");
    assert.deepEqual([told["service"], told["bytesOut"]], ["db", 12]);
    await gate.reload(config(false));
    const before = lines().length;
    await pass();
    await ask(gate.url(), { headers: { connection: "close" } });
    await gate.running.stop();
    assert.equal(lines().length, before, "none of TCP, and none of HTTP in any case");
    assert.equal(before, 1);
  });
});

describe("PROXY headers of TCP services", { skip: requires("haproxy", "nginx") }, () => {
  for (const [sent, passed] of [
    ["send-proxy", "v2"],
    ["send-proxy-v2", "v1"],
  ] as const) {
    it(`HAProxy in front with ${sent}, nginx behind with ${passed}: it hears of the client`, async (t) => {
      const [front, behind] = [await freePort(), await freePort()];
      const server = `listen 127.0.0.1:${behind} proxy_protocol; location / { return 200 $proxy_protocol_addr; }`;
      await peer(t, "nginx", behind, (folder) => nginx(folder, server));
      const gate = await gateway(t, {
        listen: [
          {
            port: 0,
            proxyProtocol: { from: ["127.0.0.0/8"] },
            tcp: { name: "nginx", upstreams: [`127.0.0.1:${behind}`], proxyProtocol: passed },
          },
        ],
      });
      await gate.ready();
      const next = `server next 127.0.0.1:${await gate.streamPort("nginx")} ${sent}`;
      await peer(t, "haproxy", front, () => haproxy(`listen front\n  mode tcp\n  bind 127.0.0.1:${front}\n  ${next}`));
      const line = await Line.open(t, front, "127.0.0.5");
      line.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
      await line.expect(/\r\n\r\n127\.0\.0\.5$/);
      line.socket.end();
    });
  }
});

describe("a TCP listener that is there no more", () => {
  it("takes nobody new; who is connected goes on", async (t) => {
    const port = await tcpOrigin(t, answering("a"));
    const { url } = await origin(t);
    const http = { services: { web: { upstreams: [url] } }, sites: { "*": { "/": "web" } } };
    const tcp = { name: "db", upstreams: [`127.0.0.1:${port}`] };
    const gate = await gateway(t, { ...http, listen: [{ port: 0 }, { port: 0, tcp }] });
    await gate.ready();
    const at = await gate.streamPort("db");
    const line = await Line.open(t, at);
    await line.expect(/^a:/);
    await gate.reload({ ...http, listen: [{ port: 0 }] });
    await assert.rejects(Line.open(t, at), /ECONNREFUSED/);
    line.send("still here\n");
    await line.expect(/a heard 11 bytes/);
    line.socket.end();
    await once(line.socket, "close");
  });
});
