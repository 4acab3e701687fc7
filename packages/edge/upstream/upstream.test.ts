import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import { FakeClock } from "@tideway/base/testing";
import { ok, raw, Sent, serviceOf, until, withInstance } from "./sent.testing.ts";
import { RawServer, SocketClock } from "./testing.ts";

describe("a pooled connection", () => {
  it("is used again for the next request, the last used one first", async () => {
    const server = await raw((socket) => socket.write(ok));
    const { service } = await withInstance(server);
    const [one, two] = [new Sent(service), new Sent(service)];
    assert.notEqual(one.connection, two.connection);
    assert.deepEqual([await one.over, await two.over], ["end", "end"]);
    const last = service.status().instances[0]!;
    assert.deepEqual([last.connections, last.idle, last.active], [2, 2, 0]);
    const three = new Sent(service);
    assert.equal(await three.over, "end");
    const four = new Sent(service);
    assert.equal(four.connection, three.connection);
    assert.equal(await four.over, "end");
    assert.deepEqual(four.trail, ["head 200", "body ok"]);
  });

  for (const [rule, answer, reused] of [
    ["a response with a length", ok, true],
    ["a chunked response", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true],
    ["Connection: close", "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", false],
    ["HTTP/1.0", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", false],
    ["bytes after the end", `${ok}X`, false],
    ["a second response nobody asked for", ok + ok, false],
    [
      "a server's idle limit under the margin",
      "HTTP/1.1 200 OK\r\nkeep-alive: timeout=4\r\ncontent-length: 2\r\n\r\nok",
      false,
    ],
    [
      "a server's idle limit over the margin",
      "HTTP/1.1 200 OK\r\nkeep-alive: timeout=5, max=9\r\ncontent-length: 2\r\n\r\nok",
      true,
    ],
  ] as const) {
    it(`${rule}: ${reused ? "reused" : "never reused"}`, async () => {
      const server = await raw((socket) => socket.write(answer));
      const { service } = await withInstance(server);
      const sent = new Sent(service);
      assert.equal(await sent.over, "end");
      assert.equal(service.status().instances[0]!.idle, reused ? 1 : 0);
      assert.equal(service.status().instances[0]!.active, 0);
    });
  }

  it("a body without a length lasts until the server closes", async () => {
    const server = await raw((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\nuntil the end"));
    const { service } = await withInstance(server);
    const sent = new Sent(service);
    assert.equal(await sent.over, "end");
    assert.deepEqual(sent.trail, ["head 200", "body until the end"]);
    assert.equal(service.status().instances[0]!.connections, 0);
  });

  it("is destroyed when bytes come while it idles", async () => {
    let held: Socket | null = null;
    const server = await raw((socket) => {
      held = socket;
      socket.write(ok);
    });
    const { service } = await withInstance(server);
    await new Sent(service).over;
    held!.write("HTTP/1.1 408 Request Timeout\r\n\r\n");
    await once(held!, "close");
    assert.equal(service.status().instances[0]!.connections, 0);
  });

  it("is closed after its idle time: ours, or the server's less four seconds", async () => {
    const clock = new SocketClock();
    const server = await raw((socket, _head, index) =>
      socket.write(index === 0 ? ok.replace("content", "keep-alive: timeout=10\r\ncontent") : ok),
    );
    const { service } = await withInstance(server, { clock, limits: { upstreamIdleMs: 20_000 } });
    const two = [new Sent(service), new Sent(service)];
    for (const sent of two) assert.equal(await sent.over, "end");
    clock.advance(5_900);
    assert.equal(service.status().instances[0]!.idle, 2);
    clock.advance(600);
    assert.equal(service.status().instances[0]!.idle, 1);
    clock.advance(14_000);
    assert.equal(service.status().instances[0]!.idle, 0);
  });
});

describe("deadlines", () => {
  it("no first byte in time is a fault, and counts against the instance", async () => {
    const clock = new SocketClock();
    const server = await raw(() => {});
    const { service } = await withInstance(server, { clock, health: { everyMs: 1e9 } });
    const sent = new Sent(service);
    await until(() => server.heads.length > 0);
    clock.advance(59_000);
    assert.equal(sent.fault, null);
    clock.advance(2_000);
    assert.equal(await sent.over, "timeout");
    assert.equal(service.counters().failures, 1);
    assert.equal(service.status().instances[0]!.failures, 1);
  });

  it("an interim response is passed on, and begins the wait anew", async () => {
    const clock = new SocketClock();
    let held: Socket | null = null;
    const server = await raw((socket) => {
      held = socket;
      socket.write("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    });
    const { service } = await withInstance(server, { clock });
    const sent = new Sent(service);
    await until(() => sent.trail.length > 0);
    clock.advance(59_900);
    held!.write(ok);
    assert.equal(await sent.over, "end");
    assert.deepEqual(sent.trail, ["interim 103", "head 200", "body ok"]);
  });

  it("a body that goes on slowly has no deadline", async () => {
    const clock = new SocketClock();
    let held: Socket | null = null;
    const server = await raw((socket) => {
      held = socket;
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab");
    });
    const { service } = await withInstance(server, { clock });
    const sent = new Sent(service);
    await until(() => sent.trail.length >= 2);
    clock.advance(600_000);
    held!.write("cd");
    assert.equal(await sent.over, "end");
  });
});

describe("the silence of a body", () => {
  async function halfAnswered(upstreamBodyIdleMs: number) {
    const clock = new SocketClock();
    let held: Socket | null = null;
    const server = await raw((socket) => {
      held = socket;
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\na");
    });
    const limits = { upstreamBodyIdleMs };
    const { service } = await withInstance(server, { clock, limits, health: { everyMs: 1e9 } });
    const sent = new Sent(service);
    await until(() => sent.trail.length === 2);
    return { clock, sent, service, write: (text: string) => held!.write(text) };
  }

  it("over its limit is a fault, and counted", async () => {
    const { clock, sent, service } = await halfAnswered(10_000);
    clock.advance(9_900);
    assert.equal(sent.fault, null);
    clock.advance(600);
    assert.equal(await sent.over, "timeout");
    assert.equal(service.counters().failures, 1);
    assert.equal(service.status().instances[0]!.connections, 0);
  });

  it("ends with each piece", async () => {
    const { clock, sent, write } = await halfAnswered(10_000);
    for (const piece of ["b", "c"]) {
      clock.advance(9_000);
      const had = sent.trail.length;
      write(piece);
      await until(() => sent.trail.length > had);
    }
    clock.advance(9_000);
    write("d");
    assert.equal(await sent.over, "end");
  });

  it("is not the server's while its reader holds it up", async () => {
    const { clock, sent, write } = await halfAnswered(10_000);
    sent.connection!.pause();
    clock.advance(60_000);
    assert.equal(sent.fault, null);
    sent.connection!.resume();
    write("bcd");
    assert.equal(await sent.over, "end");
  });
});

describe("an answer that overtakes its request", () => {
  const refusal = "HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbig";

  it("is read before more of the body is written, for a write after its sender's reset would lose it", async () => {
    const clock = new FakeClock();
    let onRefused = () => {};
    const server = await raw((socket) => {
      socket.write(refusal, () => {
        socket.resetAndDestroy();
        // Now the answer is here, and the reset with it, but this side has seen neither.
        onRefused();
      });
    });
    const { service } = await withInstance(server, { clock, health: { everyMs: 1e9 } });
    const sent = new Sent(service, false, undefined, 2_000_000);
    const refused = new Promise<void>((resolve) => {
      onRefused = () => {
        sent.connection!.sendBody(Buffer.alloc(100_000));
        resolve();
      };
    });
    await refused;
    assert.equal(await sent.over, "end");
    assert.deepEqual(sent.trail, ["head 413", "body big"]);
    clock.settle();
    assert.equal(service.status().instances[0]!.connections, 0);
  });

  it("a body goes out at the end of each tick, and all of it arrives", async () => {
    const clock = new FakeClock();
    const seen: Buffer[] = [];
    const server = await raw((socket) => void socket.on("data", (chunk: Buffer) => seen.push(chunk)));
    const { service } = await withInstance(server, { clock, health: { everyMs: 1e9 } });
    const sent = new Sent(service, false, undefined, 3_000_000);
    await until(() => server.heads.length === 1);
    let bytes = 0;
    for (let i = 0; i < 30; i++) {
      sent.connection!.sendBody(Buffer.alloc(100_000, i));
      bytes += 100_000;
      clock.settle();
      await until(() => seen.reduce((sum, { length }) => sum + length, 0) >= bytes);
    }
    sent.connection!.sendEnd([]);
    for (const socket of server.sockets) socket.write(ok);
    assert.equal(await sent.over, "end");
    const whole = Buffer.concat(seen);
    assert.ok(Array.from({ length: 30 }, (_, i) => whole[i * 100_000 + 50_000] === i).every((right) => right));
    assert.equal(service.status().instances[0]!.idle, 1);
  });
});

describe("instances at run time", () => {
  it("a new one is used only after its probe, quickly once it answers", async () => {
    const place = await RawServer.open(() => {});
    const { port } = place;
    await place.close();
    const { service, log } = serviceOf({ health: { path: "/healthz", everyMs: 60_000 } });
    service.add({ id: "a", host: "127.0.0.1", port });
    const sent = new Sent(service);
    assert.equal(service.status().waiting, 1);
    assert.equal(service.status().instances[0]!.state, "checking");
    let asked = 0;
    const server = await raw((socket, head) => {
      if (head.startsWith("GET /healthz "))
        socket.write(++asked === 1 ? "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n" : ok);
      else socket.write(ok);
    }, port);
    assert.equal(await sent.over, "end");
    assert.equal(asked, 2);
    assert.ok(log.lines.some((line) => line.message === "instance is up"));
    assert.equal(server.heads.filter((head) => head.startsWith("GET / ")).length, 1);
  });

  for (const [rule, answer] of [
    ["404", "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"],
    ["500", "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"],
    ["garbage", "SSH-2.0-OpenSSH\r\n"],
  ] as const) {
    it(`a probe answered by ${rule} does not pass`, async () => {
      const clock = new SocketClock();
      let asked = 0;
      const server = await raw((socket) => {
        asked++;
        socket.write(answer);
      });
      const { service } = serviceOf({ clock, health: { path: "/" } });
      service.add({ id: "a", host: "127.0.0.1", port: server.port });
      while (asked < 3) {
        await new Promise(setImmediate);
        clock.advance(10);
      }
      assert.equal(service.status().instances[0]!.state, "checking");
    });
  }

  it("refused connections eject it, and a probe brings it back when it listens again", async () => {
    const server = await raw((socket) => socket.write(ok));
    const { port } = server;
    const { service, log } = await withInstance(server, { health: { everyMs: 60_000 } });
    await server.close();
    const faults = [new Sent(service, true), new Sent(service, true)];
    for (const sent of faults) {
      assert.equal(await sent.over, "refused");
      assert.equal(sent.fault?.reached, false);
    }
    await log.state("a", "down");
    const waits = new Sent(service);
    await raw((socket) => socket.write(ok), port);
    assert.equal(await waits.over, "end");
  });

  it("drain: finishes what is under way, takes nothing new, tells when it is empty", async () => {
    const held: Socket[] = [];
    const server = await raw((socket) => void held.push(socket));
    const { service } = await withInstance(server);
    const under = new Sent(service);
    await until(() => held.length > 0);
    let drained = false;
    const done = new Promise<void>((resolve) => {
      service.drain("a", () => {
        drained = true;
        resolve();
      });
    });
    assert.equal(await new Sent(service).over, "unavailable");
    assert.ok(!drained);
    held[0]!.write(ok);
    assert.equal(await under.over, "end");
    await done;
    assert.equal(service.status().instances[0]!.connections, 0);
    service.remove("a");
    assert.deepEqual(service.status().instances, []);
    assert.ok(service.add({ id: "a", host: "127.0.0.1", port: server.port }));
  });

  it("removed: requests under way there still finish", async () => {
    const held: Socket[] = [];
    const server = await raw((socket) => void held.push(socket));
    const { service } = await withInstance(server);
    const under = new Sent(service);
    await until(() => held.length > 0);
    service.remove("a");
    held[0]!.write(ok);
    assert.equal(await under.over, "end");
  });
});

describe("waiting", () => {
  it("with every instance down for long, nobody waits", async () => {
    const { service } = serviceOf();
    assert.equal(await new Sent(service).over, "unavailable");
  });

  it("a managed service waits for an instance to appear, to a deadline", async () => {
    const clock = new SocketClock();
    const { service } = serviceOf({ clock, managed: true, limits: { upstreamWaitMs: 5_000 } });
    const sent = new Sent(service);
    clock.advance(4_900);
    assert.equal(service.status().waiting, 1);
    clock.advance(400);
    assert.equal(await sent.over, "unavailable");
    assert.equal(clock.pendingCount, 0);
  });

  it("the queue is bounded, and who leaves makes room", async () => {
    const { service } = serviceOf({ managed: true, limits: { upstreamWaitersMax: 2 } });
    const first = new Sent(service);
    new Sent(service);
    assert.equal(await new Sent(service).over, "crowded");
    service.cancel(first);
    new Sent(service);
    assert.equal(service.status().waiting, 2);
  });

  it("a full pool makes the next request wait for a connection, first come first served", async () => {
    const held: Socket[] = [];
    const server = await raw((socket) => void held.push(socket));
    const { service } = await withInstance(server, { limits: { upstreamConnectionsMax: 1 } });
    const order: string[] = [];
    const sent = ["one", "two", "three"].map((name) => {
      const request = new Sent(service);
      void request.over.then(() => order.push(name));
      return request;
    });
    assert.equal(service.status().waiting, 2);
    for (let i = 0; i < 3; i++) {
      await until(() => held.length > i);
      held[i]!.write(ok);
    }
    for (const request of sent) assert.equal(await request.over, "end");
    assert.deepEqual(order, ["one", "two", "three"]);
    assert.equal(new Set(held).size, 1);
  });

  it("closing ends every wait and every connection", async () => {
    const server = await raw(() => {});
    const { service } = await withInstance(server, { limits: { upstreamConnectionsMax: 1 } });
    const [under, waits] = [new Sent(service), new Sent(service)];
    service.close();
    assert.equal(await under.over, "broken");
    assert.equal(await waits.over, "closed");
    assert.equal(await new Sent(service).over, "closed");
  });
});
