import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { OperatorError } from "@tideway/base";
import { FakeClock } from "@tideway/base/testing";
import { findProgram, requires } from "@tideway/scripts/requires";
import { createNameServer } from "../nameserver/index.ts";
import { until } from "../tunnel/testing.ts";
import { createUdpListener, UdpEnd } from "./index.ts";
import { open, TcpServer } from "./rig.testing.ts";
import { echoes, keepsStill, type Reply, UdpServer, udpRig } from "./udprig.testing.ts";

const named =
  (name: string): Reply =>
  (server, text, from) =>
    server.send(`${name} ${text}`, from);

describe("a UDP service", () => {
  it("answers many clients, each with what is theirs, from the address that they asked", async () => {
    const servers = await Promise.all([UdpServer.open(), UdpServer.open(), UdpServer.open()]);
    const { client, listener } = await udpRig(servers);
    const clients = await Promise.all(Array.from({ length: 60 }, client));
    await Promise.all(
      clients.map(async (each, i) => {
        for (let round = 0; round < 3; round++) assert.equal(await each.ask(`${i}.${round}`), `${i}.${round}`);
      }),
    );
    const { sessions, opened, datagramsFromClients, datagramsFromUpstreams, dropped } = listener.counters;
    assert.deepEqual([sessions, opened, datagramsFromClients, datagramsFromUpstreams, dropped], [60, 60, 180, 180, 0]);
    for (const { heard, ports } of servers) assert.deepEqual([heard.length, new Set(ports).size], [60, 20]);
  });

  it("keeps a client with its instance, and tells of its session once that has ended", async () => {
    const servers = await Promise.all([UdpServer.open(named("a")), UdpServer.open(named("b"))]);
    const { client, clock, records } = await udpRig(servers);
    const [one, two] = [await client(), await client()];
    for (let i = 0; i < 3; i++) {
      assert.equal(await one.ask("x"), "a x");
      assert.equal(await two.ask("y"), "b y");
    }
    clock.advance(61_000);
    assert.equal(records.length, 2);
    assert.deepEqual(records[0], {
      service: "dns",
      instance: "i0",
      address: "127.0.0.1",
      port: one.port,
      datagramsIn: 3,
      datagramsOut: 3,
      bytesIn: 3,
      bytesOut: 9,
      durationMs: 60_000,
      end: UdpEnd.idle,
    });
  });

  it("passes a datagram without a byte, and one of the largest", async () => {
    const server = await UdpServer.open();
    const { client } = await udpRig([server]);
    const one = await client();
    assert.equal(await one.ask(""), "");
    const large = "x".repeat(65_507);
    assert.equal(await one.ask(large), large);
  });

  it("a session ends when nothing has passed for its limit, and the next datagram begins another", async () => {
    const server = await UdpServer.open();
    const { client, clock, listener, records, service } = await udpRig([server], { limits: { idleMs: 10_000 } });
    const one = await client();
    await one.ask("1");
    // Either way counts: what the client sends, and what the instance does.
    clock.advance(9_000);
    one.say("2");
    await until(() => one.heard.length === 2);
    clock.advance(9_000);
    assert.equal(listener.counters.sessions, 1);
    clock.advance(2_000);
    assert.deepEqual([listener.counters.sessions, records[0]!.end], [0, UdpEnd.idle]);
    assert.equal(service.status().instances[0]!.active, 0);
    assert.equal(clock.pendingCount, 0, "no timer is left without a session");
    await one.ask("3");
    const [first, second, third] = server.ports;
    assert.equal(first, second);
    assert.notEqual(second, third);
  });

  it("the limits of a running listener change for its sessions, too", async () => {
    const server = await UdpServer.open();
    const { client, clock, listener, service } = await udpRig([server]);
    await (await client()).ask("x");
    listener.configure({ service, limits: { idleMs: 5_000 } });
    clock.advance(5_000);
    assert.equal(listener.counters.sessions, 0);
  });

  it("when there is no room the session that has been quiet the longest goes", async () => {
    const server = await UdpServer.open();
    const { client, clock, listener, records } = await udpRig([server], { limits: { sessionsMax: 2 } });
    const [one, two, three] = [await client(), await client(), await client()];
    await one.ask("1");
    clock.advance(2_000);
    await two.ask("2");
    clock.advance(2_000);
    await one.ask("again");
    clock.advance(2_000);
    await three.ask("3");
    assert.deepEqual(
      records.map(({ port, end }) => [port, end]),
      [[two.port, UdpEnd.displaced]],
    );
    assert.deepEqual([listener.counters.sessions, listener.counters.displaced], [2, 1]);
  });

  it("but not one that was active a moment ago: then the datagram is dropped", async () => {
    const server = await UdpServer.open();
    const { client, clock, listener } = await udpRig([server], { limits: { sessionsMax: 1 } });
    const [one, two] = [await client(), await client()];
    await one.ask("1");
    two.say("2");
    await until(() => listener.counters.dropped === 1);
    assert.equal(await one.ask("still here"), "still here");
    clock.advance(1_000);
    assert.equal(await two.ask("now"), "now");
    assert.deepEqual(server.heard, ["1", "still here", "now"]);
  });

  it("without an instance datagrams are dropped and counted, and the log says so once", async () => {
    const { client, listener, log } = await udpRig([]);
    const one = await client();
    for (let i = 0; i < 5; i++) one.say("x");
    await until(() => listener.counters.unserved === 5);
    assert.equal(listener.counters.sessions, 0);
    assert.equal(log.lines.filter(({ level }) => level === "warn").length, 1);
  });

  it("a port that is taken is an operator's error", async () => {
    const { port, service, log } = await udpRig([]);
    const second = createUdpListener({ host: "127.0.0.1", port, service, clock: new FakeClock(), logger: log });
    await assert.rejects(second.listen(), (error: unknown) => {
      assert.ok(error instanceof OperatorError);
      assert.equal(error.code, "START_PORT_IN_USE");
      return true;
    });
    await second.close({ graceMs: 0 });
  });

  it("close: a session ends once it is quiet, new clients get nothing, and the rest ends at the deadline", async () => {
    const server = await UdpServer.open();
    const { client, clock, listener, records } = await udpRig([server]);
    const [quiet, busy, late] = [await client(), await client(), await client()];
    await quiet.ask("1");
    await busy.ask("2");
    let closed = false;
    const closing = listener.close({ graceMs: 5_000 }).then(() => {
      closed = true;
    });
    late.say("3");
    await until(() => listener.counters.dropped === 1);
    for (let i = 0; i < 9; i++) {
      clock.advance(500);
      await busy.ask("more");
    }
    assert.deepEqual(
      records.map(({ port, end }) => [port, end]),
      [[quiet.port, UdpEnd.idle]],
    );
    assert.ok(!closed);
    clock.advance(500);
    await closing;
    assert.deepEqual([records.length, records[1]!.end, clock.pendingCount], [2, UdpEnd.brokenOff, 0]);
  });
});

describe("a UDP service whose answers are counted", () => {
  it("ends a session when its answers are there", async () => {
    const server = await UdpServer.open((each, text, from) => {
      each.send(`${text} 1`, from);
      each.send(`${text} 2`, from);
    });
    const { client, listener, records } = await udpRig([server], { responses: 2 });
    const one = await client();
    one.say("a");
    await until(() => one.heard.length === 2);
    await until(() => records.length === 1);
    assert.deepEqual([records[0]!.end, listener.counters.sessions], [UdpEnd.answered, 0]);
    one.say("b");
    await until(() => one.heard.length === 4);
    assert.notEqual(server.ports[0], server.ports[1]);
  });

  it("waits for the answers to all questions that are on their way", async () => {
    const asked: (() => void)[] = [];
    const server = await UdpServer.open((each, text, from) => void asked.push(() => each.send(text, from)));
    const { client, listener } = await udpRig([server], { responses: 1 });
    const one = await client();
    one.say("a");
    one.say("b");
    await until(() => asked.length === 2);
    asked[0]!();
    await until(() => one.heard.length === 1);
    assert.equal(listener.counters.sessions, 1);
    asked[1]!();
    await until(() => one.heard.length === 2);
    assert.deepEqual([one.heard, listener.counters.sessions], [["a", "b"], 0]);
  });

  it("an instance that never answers has failed, and after a few times is not used", async () => {
    const [silent, good] = [await UdpServer.open(keepsStill), await UdpServer.open(named("good"))];
    const { client, clock, listener, records, service } = await udpRig([silent, good], {
      responses: 1,
      limits: { idleMs: 2_000 },
    });
    for (let i = 0; i < 4; i++) (await client()).say("x");
    await until(() => silent.heard.length === 2 && records.length === 2);
    clock.advance(2_500);
    assert.deepEqual(
      records.map(({ end }) => end),
      [UdpEnd.answered, UdpEnd.answered, UdpEnd.silent, UdpEnd.silent],
    );
    assert.deepEqual([service.status().instances[0]!.state, listener.counters.failures], ["down", 2]);
    for (let i = 0; i < 3; i++) assert.equal(await (await client()).ask("x"), "good x");
  });

  it("silence is no failure where nobody knows whether there are answers", async () => {
    const server = await UdpServer.open(keepsStill);
    const { client, clock, records, service } = await udpRig([server]);
    for (let i = 0; i < 4; i++) (await client()).say("x");
    await until(() => server.heard.length === 4);
    clock.advance(61_000);
    assert.deepEqual(new Set(records.map(({ end }) => end)), new Set([UdpEnd.idle]));
    assert.equal(service.status().instances[0]!.state, "up");
  });

  it("dig gets its answer from a name server behind it", { skip: requires("dig") }, async () => {
    const { clock, log } = await udpRig([]);
    const nameserver = createNameServer({
      host: "127.0.0.1",
      port: 0,
      clock,
      logger: log,
      answer: ({ questions }) => ({
        rcode: 0,
        authoritative: true,
        answers: [{ name: questions[0]!.name, type: "A", ttl: 60, data: "192.0.2.7" }],
        authorities: [],
        additionals: [],
      }),
    });
    open.push(nameserver);
    const behind = await nameserver.listen();
    const { port, records } = await udpRig([behind], { responses: 1 });
    const dig = spawn(findProgram("dig")!, ["@127.0.0.1", "-p", `${port}`, "+short", "+tries=3", "www.abc.test", "A"]);
    let text = "";
    dig.stdout.on("data", (chunk) => {
      text += chunk;
    });
    await once(dig, "close");
    assert.equal(text, "192.0.2.7\n");
    assert.equal(records[0]!.end, UdpEnd.answered);
  });
});

describe("the health of a UDP service", () => {
  it("an instance where nobody listens is found out by the first datagram, and left after a few", async () => {
    const [gone, good] = [await UdpServer.open(), await UdpServer.open(named("good"))];
    const ports = [{ port: gone.port }, { port: good.port }];
    await gone.close();
    const { client, records, service } = await udpRig(ports);
    for (let i = 0; i < 4; i++) {
      const one = await client();
      const before = records.length;
      one.say("x");
      await until(() => one.heard.length > 0 || records.length > before);
    }
    assert.deepEqual(
      records.map(({ instance, end }) => [instance, end]),
      [
        ["i0", UdpEnd.refused],
        ["i0", UdpEnd.refused],
      ],
    );
    assert.equal(service.status().instances[0]!.state, "down");
    for (let i = 0; i < 3; i++) assert.equal(await (await client()).ask("y"), "good y");
  });

  it("one that was left is tried again after a while, and is back when it answers", async () => {
    const gone = await UdpServer.open();
    const { port } = gone;
    await gone.close();
    const { client, clock, listener, records, service } = await udpRig([{ port }]);
    const one = await client();
    for (let i = 1; i <= 2; i++) {
      one.say("x");
      await until(() => records.length === i);
    }
    one.say("x");
    await until(() => listener.counters.unserved === 1);
    const back = await UdpServer.open(named("back"), port);
    clock.advance(30_000);
    assert.equal(await one.ask("x"), "back x");
    assert.equal(service.status().instances[0]!.state, "up");
    assert.equal(back.heard.length, 1);
  });

  it("is asked at another port where one is given; sessions of one that is down move", async () => {
    const servers = await Promise.all([UdpServer.open(named("a")), UdpServer.open(named("b"))]);
    const pulse = await TcpServer.open();
    const { client, clock, log, records, service } = await udpRig([servers[0]!], {}, { healthPort: pulse.port });
    const one = await client();
    assert.equal(await one.ask("1"), "a 1");
    await pulse.close();
    while (service.status().instances[0]!.state === "up") {
      clock.advance(3_000);
      await new Promise(setImmediate);
    }
    // Not asked any more from now on, so the second one counts as up.
    service.configure({ balance: "round-robin" });
    service.add({ id: "i1", host: "127.0.0.1", port: servers[1]!.port });
    clock.advance(0);
    await log.state("i1", "up");
    assert.equal(await one.ask("2"), "b 2");
    assert.deepEqual([records[0]!.end, records[0]!.instance], [UdpEnd.moved, "i0"]);
  });

  it("a session stays where it is while its instance drains, for so long as that may take", async () => {
    const servers = await Promise.all([UdpServer.open(named("a")), UdpServer.open(named("b"))]);
    const { client, clock, records, service } = await udpRig(servers, {}, { drainMs: 30_000 });
    const one = await client();
    assert.equal(await one.ask("1"), "a 1");
    let drained = false;
    service.drain("i0", () => {
      drained = true;
    });
    clock.advance(29_000);
    assert.equal(await one.ask("2"), "a 2");
    clock.advance(1_000);
    assert.deepEqual([drained, records[0]!.end], [true, UdpEnd.brokenOff]);
    assert.equal(await one.ask("3"), "b 3");
  });

  it("no instance is asked unless somebody says how, and one that came back from draining counts as up", async () => {
    const server = await UdpServer.open(echoes);
    const { client, clock, service, log } = await udpRig([server]);
    service.drain("i0");
    assert.ok(service.undrain("i0"));
    clock.advance(0);
    await log.state("i0", "up", 2);
    assert.equal(await (await client()).ask("x"), "x");
    assert.deepEqual(server.heard, ["x"]);
  });

  it("is asked from the moment that somebody says how", async () => {
    const [server, pulse] = [await UdpServer.open(echoes), await TcpServer.open()];
    const { clock, service } = await udpRig([server]);
    const asked = pulse.next();
    service.configure({ healthPort: pulse.port });
    clock.advance(2_500);
    await asked;
  });
});
