import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import { decode, type ProxyHeader } from "@tideway/wire/proxyprotocol";
import { type Asker, proxyHeader } from "./index.ts";
import { ok, open, Sent, serviceOf } from "./sent.testing.ts";
import { asker } from "./testing.ts";

const client = { address: "192.0.2.7", port: 4000, localPort: 443, localAddress: "198.51.100.1", secure: true };

function read(bytes: Uint8Array): ProxyHeader {
  const step = decode(bytes);
  assert.equal(step.state, "whole");
  return (step as { value: ProxyHeader }).value;
}

describe("the PROXY header", () => {
  for (const version of ["v1", "v2"] as const) {
    it(`${version}: says whose the connection is, and where it came to`, () => {
      const { protocol, addresses } = read(proxyHeader(version, client));
      assert.equal(protocol, "TCP4");
      assert.deepEqual(addresses, {
        source: { address: "192.0.2.7", port: 4000 },
        destination: { address: "198.51.100.1", port: 443 },
      });
    });

    it(`${version}: a place that is not known is the unspecified one of the client's family`, () => {
      const { localAddress: _, ...lost } = client;
      assert.equal(read(proxyHeader(version, lost)).addresses?.destination.address, "0.0.0.0");
      const six = { ...lost, address: "2001:db8::7" };
      const { protocol, addresses } = read(proxyHeader(version, six));
      assert.equal(protocol, "TCP6");
      assert.deepEqual(addresses?.source, { address: "2001:db8::7", port: 4000 });
    });

    it(`${version}: a client without an address has nothing to be told`, () => {
      assert.equal(read(proxyHeader(version, { ...client, address: "" })).addresses, null);
    });
  }
});

interface Backend {
  readonly port: number;
  /** The header of each connection that brought a request, and how many it brought. */
  readonly seen: { header: ProxyHeader; requests: number }[];
}

/** A server that wants a header first. */
async function backend(): Promise<Backend> {
  const seen: Backend["seen"] = [];
  const server = createServer((socket: Socket) => {
    let bytes = Buffer.alloc(0);
    let own: { header: ProxyHeader; requests: number } | null = null;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (own === null) {
        const step = decode(bytes);
        if (step.state !== "whole") return;
        own = { header: step.value, requests: 0 };
        bytes = bytes.subarray(step.next);
      }
      for (let end = bytes.indexOf("\r\n\r\n"); end >= 0; end = bytes.indexOf("\r\n\r\n")) {
        bytes = bytes.subarray(end + 4);
        if (own.requests++ === 0) seen.push(own);
        socket.write(ok);
      }
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push(server);
  return { port: (server.address() as AddressInfo).port, seen };
}

/** The same client connection each time it is asked for by the same port. */
function from(port: number, address = "192.0.2.7"): Asker {
  return { ...asker(), client: { ...client, address, port } };
}

describe("a service whose instances are told of their clients", () => {
  it("gives each client connection a connection of its own, and keeps it for that one", async () => {
    const { port, seen } = await backend();
    const { service, log } = serviceOf({ proxyProtocol: "v2" });
    service.add({ id: "a", host: "127.0.0.1", port });
    await log.state("a", "up");
    for (const each of [4000, 4001, 4000, 4001, 4000])
      assert.equal(await new Sent(service, false, from(each)).over, "end");
    assert.deepEqual(
      seen.map(({ header, requests }) => [header.addresses?.source.port, requests]),
      [
        [4000, 3],
        [4001, 2],
      ],
    );
  });

  it("connections that wait for other clients make room when no more may be opened", async () => {
    const { port, seen } = await backend();
    const { service, log } = serviceOf({ proxyProtocol: "v1", limits: { upstreamConnectionsMax: 2 } });
    service.add({ id: "a", host: "127.0.0.1", port });
    await log.state("a", "up");
    for (const each of [1, 2, 3, 2, 1]) assert.equal(await new Sent(service, false, from(each)).over, "end");
    assert.deepEqual(
      seen.map(({ header, requests }) => [header.addresses?.source.port, requests]),
      [
        [1, 1],
        [2, 2],
        [3, 1],
        [1, 1],
      ],
    );
    assert.equal(service.status().instances[0]!.connections, 2);
  });

  it("that is no more the case: what was opened with a header is not used without, nor the other way", async () => {
    const { port, seen } = await backend();
    const { service, log } = serviceOf({ proxyProtocol: "v1" });
    service.add({ id: "a", host: "127.0.0.1", port });
    await log.state("a", "up");
    await new Sent(service, false, from(1)).over;
    service.configure({ proxyProtocol: "v2" });
    await new Sent(service, false, from(1)).over;
    assert.equal(seen.length, 1, "another version: it has said so already");
    const under = new Sent(service, false, from(1));
    service.configure({});
    await under.over;
    assert.equal(service.status().instances[0]!.connections, 0);
  });
});
