/** The Combined format beside its model: nginx answers requests, and its own access log must say what ours would. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { limits, type RequestHead } from "@tideway/base";
import { freePort } from "@tideway/scripts/free-port";
import { findProgram, requires } from "@tideway/scripts/requires";
import { RequestDecoder } from "@tideway/wire/http1";
import { combinedLines } from "./combined.ts";

const body = "hello";

function configuration(folder: string, port: number): string {
  const folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  return `
worker_processes 1;
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log crit;
events { worker_connections 64; }
http {
  access_log ${folder}/access.log combined;
  ${folders.join("\n  ")}
  server {
    listen 127.0.0.1:${port};
    location /teapot { return 418 "${body}"; }
    location = /ready { access_log off; return 204; }
    location / { return 200 "${body}"; }
  }
}
`;
}

/** Every byte that a field's value may hold, in one. */
const everyByte = Buffer.from(
  Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => (byte >= 0x20 && byte !== 0x7f) || byte === 0x09),
).toString("latin1");

const requests: readonly (readonly [line: string, ...fields: string[]])[] = [
  ["GET / HTTP/1.1"],
  ["GET /a/b?x=1&y=%22%5C HTTP/1.1", "User-Agent: curl/8.0", "Referer: http://www.abc.test/?q=1"],
  ["HEAD /a HTTP/1.1", "User-Agent: x"],
  ["POST /a HTTP/1.1", "Content-Length: 3"],
  ["GET /a HTTP/1.0"],
  ["GET /teapot HTTP/1.1"],
  ["GET /a?'()*!;:@$,~[] HTTP/1.1"],
  ["GET /a HTTP/1.1", 'User-Agent: a"b\\c', 'Referer: "'],
  ["GET /a HTTP/1.1", `User-Agent: x${everyByte}x`, `Referer: x${everyByte}x`],
  ["GET /a HTTP/1.1", "User-Agent:", "Referer: "],
  ["GET /a HTTP/1.1", "Referer: http://one.test/", "Referer: http://two.test/"],
  ["GET /a HTTP/1.1", `Authorization: Basic ${btoa("ann:secret")}`],
  ["GET /a HTTP/1.1", `Authorization: basic    ${btoa('an"n\xfc\x01:s:t')}`],
  ["GET /a HTTP/1.1", `Authorization: Basic ${btoa("ann:")}`],
  ["GET /a HTTP/1.1", `Authorization: Basic ${btoa(":secret")}`],
  ["GET /a HTTP/1.1", `Authorization: Basic ${btoa("nocolon")}`],
  ["GET /a HTTP/1.1", "Authorization: Basic YW5uOg"],
  ["GET /a HTTP/1.1", "Authorization: Basic !!!"],
  ["GET /a HTTP/1.1", "Authorization: Bearer YW5uOg=="],
];

function headOf(bytes: Buffer): RequestHead {
  let head: RequestHead | null = null;
  const decoder = new RequestDecoder(limits, {
    onHead(each) {
      head = each;
    },
    onBody() {},
    onEnd() {},
    onFault: (fault) => assert.fail(fault.code),
  });
  decoder.decode(bytes, 0);
  assert.ok(head !== null);
  return head;
}

/** What the server answered, whole. */
async function exchange(port: number, bytes: Buffer): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.write(bytes);
  const pieces: Buffer[] = [];
  for await (const piece of socket) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString("latin1");
}

test("each line is nginx's own, byte for byte but for the second it was written in", {
  skip: requires("nginx"),
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tideway-nginx-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const port = await freePort();
  writeFileSync(join(folder, "nginx.conf"), configuration(folder, port));
  const nginx = spawn(findProgram("nginx")!, ["-p", folder, "-e", "stderr", "-c", join(folder, "nginx.conf")]);
  const ended = once(nginx, "exit");
  t.after(() => nginx.kill("SIGKILL"));
  for (let listening = false; !listening; ) {
    assert.equal(nginx.exitCode, null, "nginx did not start");
    await setTimeout(5);
    listening = await exchange(port, Buffer.from("GET /ready HTTP/1.0\r\n\r\n")).then(
      () => true,
      () => false,
    );
  }
  const lineOf = combinedLines({ queries: true });
  const ours: string[] = [];
  for (const [line, ...fields] of requests) {
    const rest = [...fields, "Host: www.abc.test", "Connection: close", "", line.startsWith("POST") ? "abc" : ""];
    const bytes = Buffer.from([line, ...rest].join("\r\n"), "latin1");
    const answer = await exchange(port, bytes);
    const head = headOf(bytes);
    ours.push(
      lineOf({
        ...head,
        head,
        id: "",
        at: Date.now(),
        headMs: 0,
        peer: "127.0.0.1",
        route: "",
        trace: "",
        reason: "",
        address: "127.0.0.1",
        status: Number(answer.slice(9, 12)),
        bytesIn: 0,
        bytesOut: answer.length - answer.indexOf("\r\n\r\n") - 4,
        durationMs: 0,
        service: "",
        instance: "",
        fault: "",
      }),
    );
  }
  nginx.kill("SIGQUIT");
  await ended;
  const theirs = readFileSync(join(folder, "access.log"), "latin1").split(/(?<=\n)/);
  const timeless = (line: string) => line.replace(/\[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d ([+-]\d{4})\]/, "[$1]");
  assert.deepEqual(ours.map(timeless), theirs.map(timeless));
  // Both may have seen the second change between request and line, but not the zone, the day's form or its order.
  const stampOf = (line: string) => line.slice(line.indexOf("["), line.indexOf("]") - 8).length;
  assert.equal(stampOf(ours[0]!), stampOf(theirs[0]!));
});
