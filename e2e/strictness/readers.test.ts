/**
 * What the gateway forwards, read by somebody else's parser: Node's own server, at its strictest and at its most lenient,
 * sees the same requests with the same bodies, and never one more.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, METHODS } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { type Case, show } from "./case.ts";
import { Line } from "./client.ts";
import { Gateway } from "./gateway.ts";
import { joined } from "./recorder.ts";
import { cases } from "./tables/index.ts";

const startOf = (text: string): string => text.slice(0, text.indexOf(" HTTP/1.1\r\n"));

/** As the table says that a service sees it: start line and body, the latter without its framing. */
function expected({ sees }: Case): string[] {
  return sees.map(({ text }) => {
    const body = joined(text).slice(text.indexOf("\r\n\r\n") + 4);
    return `${startOf(text)} ${JSON.stringify(/^\[([\s\S]*)\]0\r\n[\s\S]*$/.exec(body)?.[1] ?? body)}`;
  });
}

/** Node's server knows a list of methods, and asks for a length where it sees none of its own. */
const readable = cases.filter(
  ({ sees, status, fin }) =>
    sees.length > 0 && status === 0 && !fin && sees.every(({ text }) => METHODS.includes(text.split(" ")[0]!)),
);

for (const insecureHTTPParser of [false, true]) {
  test(`${readable.length} requests reach a ${insecureHTTPParser ? "lenient" : "strict"} server as they are`, async (t) => {
    let came: string[] = [];
    const server = createServer({ insecureHTTPParser, maxHeaderSize: 64 * 1024 }, async (incoming, outgoing) => {
      const body = Buffer.concat(await incoming.toArray()).toString("latin1");
      came.push(`${incoming.method} ${incoming.url} ${JSON.stringify(body)}`);
      outgoing.end("ok");
    });
    server.on("checkContinue", () => came.push("an expectation"));
    server.on("upgrade", (incoming, socket) => {
      came.push(`${incoming.method} ${incoming.url} ""`);
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const gateway = await Gateway.open({ web: port });
    t.after(() => gateway.close());
    for (const each of readable) {
      came = [];
      const line = await Line.open(gateway.port);
      await line.say([Buffer.from(each.bytes, "latin1")]);
      for (const { text } of each.sees) {
        const answer = await line.answer(text.startsWith("HEAD "));
        assert.equal(answer?.status, 200, show(each));
      }
      line.socket.destroy();
      assert.deepEqual(came, expected(each), show(each));
    }
  });
}
