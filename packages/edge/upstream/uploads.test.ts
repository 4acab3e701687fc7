import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, it } from "node:test";
import { FakeClock } from "@tideway/base/testing";
import { encodeRequestHead } from "@tideway/wire/http1";
import type { Service, UpstreamConnection } from "./index.ts";
import { ok, open, raw, Sent, until, withInstance } from "./sent.testing.ts";

/** A server that answers to GET at once, and to POST when its body has come. */
async function patient(): Promise<{ port: number }> {
  const server = createServer((socket) => {
    let text = "";
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (!(text.startsWith("GET") ? /\r\n\r\n$/ : /\r\n\r\nok$/).test(text)) return;
      text = "";
      socket.write(ok);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push(server);
  return server.address() as AddressInfo;
}

/** A request whose body comes when `finish` is called. */
class Upload extends Sent {
  came?: boolean;

  get uploading(): boolean {
    return this.came !== true;
  }

  override onLease(connection: UpstreamConnection): void {
    this.connection = connection;
    connection.sendHead(this, encodeRequestHead("POST", "/", ["host", "a.test"], 2), "POST", 2, false);
    if (!this.uploading) this.#send();
  }

  finish(service: Service): void {
    this.came = true;
    if (this.connection !== null) this.#send();
    else service.uploaded(this);
  }

  #send(): void {
    this.connection!.sendBody(Buffer.from("ok"));
    this.connection!.sendEnd([]);
  }
}

describe("requests whose bodies are slow", () => {
  const few = { limits: { upstreamConnectionsMax: 4, upstreamWaitersMax: 4 } };

  it("have half of an instance's connections; whole requests are served by the rest, past those that wait", async () => {
    const server = await patient();
    const { service } = await withInstance(server, few);
    const uploads = [new Upload(service), new Upload(service), new Upload(service)];
    assert.deepEqual(
      uploads.map(({ connection }) => connection !== null),
      [true, true, false],
    );
    assert.equal(service.status().waiting, 1);
    for (let i = 0; i < 6; i++) assert.equal(await new Sent(service).over, "end");
    const late = new Upload(service);
    late.finish(service);
    assert.equal(await late.over, "end", "what has become whole waits no more");
    uploads[0]!.finish(service);
    assert.notEqual(uploads[2]!.connection, null, "its turn came when one of the others was whole");
    for (const upload of uploads.slice(1)) upload.finish(service);
    for (const upload of uploads) assert.equal(await upload.over, "end");
    assert.deepEqual([service.status().waiting, service.status().instances[0]!.active], [0, 0]);
  });

  it("have half of the queue, too, and wait no longer than others", async () => {
    const clock = new FakeClock();
    const server = await raw(() => {});
    const { service } = await withInstance(server, { ...few, clock, health: { everyMs: 1e9 } });
    const uploads = Array.from({ length: 5 }, () => new Upload(service));
    assert.equal(await uploads[4]!.over, "crowded");
    await until(() => server.heads.length === 2);
    clock.advance(6_000);
    assert.deepEqual(await Promise.all(uploads.slice(2, 4).map(({ over }) => over)), ["deadline", "deadline"]);
  });

  it("count no more once they are whole, have failed or were given up", async () => {
    const server = await raw(() => {});
    const { service } = await withInstance(server, few);
    for (let round = 0; round < 3; round++) {
      const [given, broken] = [new Upload(service), new Upload(service)];
      assert.ok(given.connection !== null && broken.connection !== null, `round ${round}`);
      const heads = round * 2 + 2;
      await until(() => server.heads.length === heads);
      given.connection.abandon();
      for (const socket of server.sockets) socket.destroy();
      assert.equal(await broken.over, "broken");
    }
  });

  it("have half of the requests where those are bounded", async () => {
    const server = await patient();
    const { service } = await withInstance(server, { requestsMax: 2 });
    const uploads = [new Upload(service), new Upload(service)];
    assert.equal(uploads[1]!.connection, null);
    assert.equal(await new Sent(service).over, "end");
    for (const upload of uploads) upload.finish(service);
    for (const upload of uploads) assert.equal(await upload.over, "end");
  });
});
