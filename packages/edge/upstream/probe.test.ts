import assert from "node:assert/strict";
import { createServer } from "node:net";
import { afterEach, describe, it } from "node:test";
import { FakeClock } from "@tideway/base/testing";
import { systemClock } from "@tideway/edge/clock";
import { decode } from "@tideway/wire/proxyprotocol";
import { defaultProbe } from "./probe.ts";
import { defaultHealth, type HealthOptions } from "./settings.ts";
import { type RawAnswer, RawServer } from "./testing.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

async function serve(answer: RawAnswer): Promise<RawServer> {
  const server = await RawServer.open(answer);
  open.push(server);
  return server;
}

/** Empty when it passed. */
function ask(port: number, health: Partial<HealthOptions>, proxy: "v1" | "v2" | null = null): Promise<string> {
  return new Promise((resolve) => {
    const make = defaultProbe({ ...defaultHealth, ...health }, systemClock, proxy);
    make({ host: "127.0.0.1", port }, (passed, why) => resolve(passed === true ? "" : why));
  });
}

const answering = (text: string) => serve((socket) => socket.write(text));

describe("a probe with a path", () => {
  it("asks as it is told to", async () => {
    const server = await answering("HTTP/1.1 204 No Content\r\n\r\n");
    assert.equal(await ask(server.port, { path: "/up?x=1", method: "HEAD", host: "app.test" }), "");
    assert.match(server.heads[0]!, /^HEAD \/up\?x=1 HTTP\/1\.1\r\nhost: app\.test\r\n/);
    assert.equal(await ask(server.port, { path: "/up" }), "");
    assert.match(server.heads[1]!, new RegExp(`^GET /up HTTP/1\\.1\\r\\nhost: 127\\.0\\.0\\.1:${server.port}\\r\\n`));
  });

  for (const [status, wanted, passes] of [
    [200, undefined, true],
    [399, undefined, true],
    [400, undefined, false],
    [503, undefined, false],
    [503, [503], true],
    [200, [204, [300, 302]], false],
    [301, [204, [300, 302]], true],
  ] as const) {
    it(`${status}, where ${JSON.stringify(wanted ?? "200–399")} is right: ${passes ? "passes" : "fails"}`, async () => {
      const { port } = await answering(`HTTP/1.1 ${status} So\r\ncontent-length: 0\r\n\r\n`);
      const why = await ask(port, { path: "/", ...(wanted !== undefined && { status: wanted }) });
      assert.equal(why, passes ? "" : `status ${status}`);
    });
  }

  for (const [rule, text, why] of [
    ["found", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nall is ok", ""],
    ["not there", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\noops", 'the body does not contain "is ok"'],
    ["no body", "HTTP/1.1 204 No\r\n\r\n", 'the body does not contain "is ok"'],
    [
      "over chunks",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n..i\r\n2\r\ns \r\n2\r\nok\r\n0\r\n\r\n",
      "",
    ],
    ["a wrong status with it", "HTTP/1.1 500 No\r\ncontent-length: 5\r\n\r\nis ok", "status 500"],
    ["garbage", "SSH-2.0-x\r\n\r\n", /^START_LINE|^[A-Z_]+: /],
  ] as const) {
    it(`what the body must contain, ${rule}`, async () => {
      const { port } = await answering(text);
      const seen = await ask(port, { path: "/", body: "is ok" });
      if (typeof why === "string") assert.equal(seen, why);
      else assert.match(seen, why);
    });
  }

  it("a body without a length is looked at to its end", async () => {
    const { port } = await serve((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\nnearly o"));
    assert.equal(await ask(port, { path: "/", body: "ok" }), 'the body does not contain "ok"');
    const good = await serve((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\nit is ok"));
    assert.equal(await ask(good.port, { path: "/", body: "ok" }), "");
  });

  it("no more than 64 KiB of a body that never ends is looked at", async () => {
    const { port } = await serve((socket) => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      const more = () => {
        while (!socket.destroyed && socket.write(Buffer.alloc(8192, "x")));
      };
      socket.on("drain", more);
      more();
    });
    assert.equal(await ask(port, { path: "/", body: "ok" }), 'the body does not contain "ok"');
  });

  it("text beyond ASCII is compared as UTF-8", async () => {
    const { port } = await answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n\xc3\xbcber");
    assert.notEqual(await ask(port, { path: "/", body: "über" }), "");
    const server = await serve((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
      socket.write(Buffer.from("über"));
    });
    assert.equal(await ask(server.port, { path: "/", body: "über" }), "");
  });

  it("no answer in time fails", async () => {
    const clock = new FakeClock();
    const { port } = await serve(() => {});
    const make = defaultProbe({ ...defaultHealth, path: "/", timeoutMs: 500 }, clock, null);
    const why = await new Promise<string>((resolve) => {
      make({ host: "127.0.0.1", port }, (passed, reason) => resolve(`${passed} ${reason}`));
      clock.advance(500);
    });
    assert.equal(why, "false no answer in 500 ms");
    assert.equal(clock.pendingCount, 0);
  });

  it("cancelled, it says nothing, and its connection is closed", async () => {
    const server = await serve(() => {});
    let told = false;
    const probe = defaultProbe(
      { ...defaultHealth, path: "/" },
      systemClock,
      null,
    )({ host: "127.0.0.1", port: server.port }, () => {
      told = true;
    });
    while (server.heads.length === 0) await new Promise(setImmediate);
    probe.cancel();
    while (server.sockets.size > 0) await new Promise(setImmediate);
    assert.ok(!told);
  });
});

describe("a probe of a server that wants the PROXY protocol", () => {
  for (const version of ["v1", "v2"] as const) {
    for (const path of ["", "/"]) {
      it(`${version}${path === "" ? "" : ", with a path"}: begins with a header of its own`, async () => {
        const bytes: Buffer[] = [];
        const got = Promise.withResolvers<void>();
        const server = createServer((socket) => {
          socket.on("data", (chunk: Buffer) => {
            bytes.push(chunk);
            if (path !== "") socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            got.resolve();
          });
          socket.on("error", () => {});
        }).listen(0, "127.0.0.1");
        open.push(server);
        await new Promise((resolve) => server.once("listening", resolve));
        const { port } = server.address() as { port: number };
        assert.equal(await ask(port, { path }, version), "");
        await got.promise;
        const step = decode(Buffer.concat(bytes));
        assert.equal(step.state, "whole");
        if (step.state !== "whole") return;
        assert.equal(step.value.command, version === "v1" ? "PROXY" : "LOCAL");
        if (version === "v1") assert.equal(step.value.addresses?.destination.port, port);
        const rest = Buffer.concat(bytes).subarray(step.next).toString();
        assert.equal(rest.startsWith("GET / HTTP/1.1\r\n"), path !== "");
      });
    }
  }
});
