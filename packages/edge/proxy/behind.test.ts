/** Behind other proxies: HAProxy, then nginx, then the gateway, each with an address of its own on the loopback. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout } from "node:timers/promises";
import { parseAddressRanges } from "@tideway/base";
import type { RequestRecord } from "@tideway/edge/listener";
import { freePort } from "@tideway/scripts/free-port";
import { findProgram, requires } from "@tideway/scripts/requires";
import { gateway, origin } from "./gateway.testing.ts";
import { open } from "./rig.testing.ts";

const client = "127.0.0.5";
const haproxyAddress = "127.0.0.2";
const nginxAddress = "127.0.0.3";

const nginx = (folder: string, port: number, next: number): string => `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 64; }
http {
  access_log off;
  ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`).join(" ")}
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${next};
      proxy_bind ${nginxAddress};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto https;
      proxy_set_header X-Request-Id $request_id;
      proxy_set_header X-Real-IP $remote_addr;
    }
  }
}
`;

const haproxy = (port: number, next: number): string => `
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
listen front
  bind 127.0.0.1:${port}
  option forwardfor
  source ${haproxyAddress}
  server next 127.0.0.1:${next}
`;

/** Starts a proxy; resolves with its port once it accepts connections. */
async function front(name: "nginx" | "haproxy", next: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), `tideway-${name}-`));
  const port = await freePort();
  const file = join(folder, "front.conf");
  writeFileSync(file, name === "nginx" ? nginx(folder, port, next) : haproxy(port, next));
  const args = name === "nginx" ? ["-c", file, "-e", "stderr"] : ["-db", "-f", file];
  const child = spawn(findProgram(name)!, args, { stdio: "ignore" });
  open.push({
    async close() {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      rmSync(folder, { recursive: true, force: true });
    },
  });
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const heard = await new Promise((resolve) =>
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false)),
    );
    socket.destroy();
    if (heard === true) return port;
    assert.equal(child.exitCode, null, `${name} did not start`);
    await setTimeout(5);
  }
}

/** What the service sees, and the record, of a request that comes all the way from `client` with these fields. */
async function ask(
  trusted: readonly string[],
  headers: Record<string, string>,
): Promise<[IncomingHttpHeaders, RequestRecord]> {
  const parsed = parseAddressRanges(trusted);
  assert.ok(parsed.ok);
  const seen: IncomingHttpHeaders[] = [];
  const records: RequestRecord[] = [];
  const port = await origin((incoming, response) => {
    seen.push(incoming.headers);
    response.end();
  });
  const listener = { trusts: parsed.ranges, onRecord: (record: RequestRecord) => void records.push(record) };
  const gate = await gateway([port], { listener });
  const chain = await front("haproxy", await front("nginx", gate.port));
  const sent = request({
    port: chain,
    host: "127.0.0.1",
    localAddress: client,
    headers: { host: "a.test", ...headers },
  });
  const [answer] = (await once(sent.end(), "response")) as [IncomingMessage];
  await answer.resume().toArray();
  while (records.length === 0) await new Promise(setImmediate);
  return [seen[0]!, records[0]!];
}

const lies = {
  "x-forwarded-for": `${haproxyAddress}, 9.9.9.9`,
  forwarded: 'for=9.9.9.9, for="',
  "x-real-ip": "9.9.9.9",
};

describe("behind HAProxy and nginx", { skip: requires("nginx", "haproxy") }, () => {
  it("both trusted: the client is the one that HAProxy saw, whatever it says itself", async () => {
    const [headers, record] = await ask([haproxyAddress, nginxAddress], lies);
    assert.equal(record.address, client);
    assert.equal(
      headers["x-forwarded-for"],
      `${haproxyAddress}, 9.9.9.9, ${client}, ${haproxyAddress}, ${nginxAddress}`,
    );
    const elements = [haproxyAddress, "9.9.9.9", client, haproxyAddress].map((address) => `for=${address}`);
    assert.equal(headers.forwarded, `${elements.join(", ")}, for=${nginxAddress};proto=http;host="a.test"`);
    assert.equal(headers["x-forwarded-proto"], "https");
    assert.equal(headers["x-real-ip"], client);
    assert.match(record.id, /^[0-9a-f]{32}$/, "nginx's request id");
    assert.equal(headers["x-request-id"], record.id);
  });

  it("only nginx trusted: the client is HAProxy", async () => {
    const [, record] = await ask([nginxAddress], lies);
    assert.equal(record.address, haproxyAddress);
  });

  it("none trusted: the client is nginx, and nothing of what they say goes on", async () => {
    const [headers, record] = await ask(["127.0.0.9"], lies);
    assert.equal(record.address, nginxAddress);
    assert.equal(headers["x-forwarded-for"], nginxAddress);
    assert.equal(headers.forwarded, `for=${nginxAddress};proto=http;host="a.test"`);
    assert.equal(headers["x-forwarded-proto"], "http");
    assert.equal(headers["x-real-ip"], undefined);
    assert.doesNotMatch(record.id, /^[0-9a-f]{32}$/);
  });
});
