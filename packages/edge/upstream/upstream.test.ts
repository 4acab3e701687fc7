import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import type { Clock, FieldList } from "@tideway/base";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { systemClock } from "@tideway/edge/clock";
import { encodeRequestHead, Framing, type ResponseHead } from "@tideway/wire/http1";
import {
  type LeaseFault,
  type LeaseHandler,
  Service,
  type ServiceOptions,
  type UpstreamConnection,
  type UpstreamFault,
} from "./index.ts";
import { asker, type RawAnswer, RawServer, WatchedLog } from "./testing.ts";

const ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/** One GET, and what came of it. */
class Sent implements LeaseHandler {
  readonly trail: string[] = [];
  connection: UpstreamConnection | null = null;
  fault: UpstreamFault | null = null;
  readonly over: Promise<string>;
  #resolve: (how: string) => void = () => {};

  constructor(service: Service, fresh = false) {
    this.over = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    service.lease(this, asker(), [], fresh);
  }

  onLease(connection: UpstreamConnection): void {
    this.connection = connection;
    connection.sendHead(
      this,
      encodeRequestHead("GET", "/", ["host", "a.test"], Framing.none),
      "GET",
      Framing.none,
      false,
    );
  }
  onLeaseFailed(fault: LeaseFault): void {
    this.#resolve(fault);
  }
  onUpstreamInterim(status: number): void {
    this.trail.push(`interim ${status}`);
  }
  onUpstreamHead(head: ResponseHead): void {
    this.trail.push(`head ${head.status}`);
  }
  onUpstreamBody(chunk: Buffer): void {
    this.trail.push(`body ${chunk.toString("latin1")}`);
  }
  onUpstreamEnd(_trailers: FieldList): void {
    this.#resolve("end");
  }
  onUpstreamDrain(): void {}
  onUpstreamUpgrade(_head: ResponseHead, socket: Socket): void {
    socket.destroy();
    this.#resolve("upgrade");
  }
  onUpstreamFault(fault: UpstreamFault): void {
    this.fault = fault;
    this.#resolve(fault.code);
  }
}

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

async function raw(answer: RawAnswer, port = 0): Promise<RawServer> {
  const server = await RawServer.open(answer, port);
  open.push(server);
  return server;
}

function serviceOf(options: Partial<ServiceOptions> & { clock?: Clock } = {}): { service: Service; log: WatchedLog } {
  const log = new WatchedLog();
  const service = new Service({
    name: "web",
    clock: systemClock,
    random: new SeededRandom(1),
    logger: log,
    ...options,
  });
  open.unshift(service);
  return { service, log };
}

async function withInstance(
  server: RawServer,
  options: Partial<ServiceOptions> = {},
): Promise<{ service: Service; log: WatchedLog }> {
  const made = serviceOf(options);
  made.service.add({ id: "a", host: "127.0.0.1", port: server.port });
  await made.log.state("a", "up");
  return made;
}

/** Turns of the event loop until it holds: the test's own deadline ends a wait for what never comes. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

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
    const clock = new FakeClock();
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
    const clock = new FakeClock();
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
    const clock = new FakeClock();
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
    const clock = new FakeClock();
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
      const clock = new FakeClock();
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
    const clock = new FakeClock();
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
