import assert from "node:assert/strict";
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { after, before, suite, test } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { Script } from "./measure/processes.ts";
import { haproxyConfiguration } from "./peers/haproxy.ts";
import { nginxConfiguration } from "./peers/nginx.ts";

const bodyBytes = 100;

interface Answer {
  readonly status: string;
  readonly body: string;
}

/** Reads `count` answers with a length; fails when bytes are left over. */
async function readAnswers(socket: Socket, count: number): Promise<Answer[]> {
  const answers: Answer[] = [];
  let text = "";
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += (chunk as Buffer).toString("latin1");
    for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
      const head = text.slice(0, end);
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1]);
      assert.ok(Number.isInteger(length), head);
      if (text.length < end + 4 + length) break;
      answers.push({ status: head.slice(0, head.indexOf("\r\n")), body: text.slice(end + 4, end + 4 + length) });
      text = text.slice(end + 4 + length);
    }
    if (answers.length >= count) break;
  }
  assert.equal(text, "", "bytes after the last answer");
  return answers;
}

suite("the proxied load, small", () => {
  const scripts: Script[] = [];
  let port = 0;
  before(async () => {
    const origin = await Script.start<{ port: number }>("any", new URL("./servers/origin.ts", import.meta.url));
    scripts.push(origin.script);
    const args = [String(origin.ready.port)];
    const ours = await Script.start<{ port: number }>(
      "any",
      new URL("./servers/proxy-tideway.ts", import.meta.url),
      args,
    );
    scripts.unshift(ours.script);
    port = ours.ready.port;
  });
  after(async () => {
    for (const script of scripts) await script.stop();
  });

  for (const depth of [1, 8]) {
    test(`every answer is whole, the right one, and in order: 8 connections, ${depth} at a time`, async () => {
      const random = new SeededRandom(depth);
      await Promise.all(
        Array.from({ length: 8 }, async (_, connection) => {
          const socket = createConnection(port, "127.0.0.1");
          await once(socket, "connect");
          for (let round = 0; round < 10; round++) {
            const targets = Array.from(
              { length: depth },
              () => `/${connection}/${random.id(1 + Math.floor(random.fraction() * 40))}`,
            );
            socket.write(targets.map((target) => `GET ${target} HTTP/1.1\r\nHost: www.abc.test\r\n\r\n`).join(""));
            const answers = await readAnswers(socket, depth);
            assert.deepEqual(
              answers,
              targets.map((target) => ({ status: "HTTP/1.1 200 OK", body: target.padEnd(bodyBytes, ".") })),
            );
          }
          socket.destroy();
          await once(socket, "close");
        }),
      );
    });
  }
});

test("the peers are told the same port and origin, and to write no log of requests", () => {
  const nginx = nginxConfiguration("/tmp/x", 1234, 5678);
  assert.match(nginx, /listen 127\.0\.0\.1:1234;/);
  assert.match(nginx, /server 127\.0\.0\.1:5678;/);
  assert.match(nginx, /access_log off;/);
  const haproxy = haproxyConfiguration(1234, 5678);
  assert.match(haproxy, /bind 127\.0\.0\.1:1234\n/);
  assert.match(haproxy, /server origin 127\.0\.0\.1:5678\n/);
  assert.doesNotMatch(haproxy, /\blog\b/);
});
