/**
 * PROXY headers with those who speak them: HAProxy in front of our listener, with what it is sent in its turn written by our
 * codec; curl; and what HAProxy and nginx accept beside what we do.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { findProgram, requires } from "@tideway/scripts/requires";
import { encodeV1, encodeV2 } from "@tideway/wire/proxyprotocol";
import { answer, eventually, startRig } from "./testing.ts";

const v4 = { source: { address: "192.0.2.7", port: 4711 }, destination: { address: "192.0.2.1", port: 443 } };
const v6 = { source: { address: "2001:db8::7", port: 4711 }, destination: { address: "2001:db8::1", port: 443 } };
const request = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

/** A listener where everybody sends a header, and is answered with who it is taken for. */
async function startOurs(context: TestContext) {
  return await startRig(
    context,
    (exchange) => answer(exchange, `<${exchange.client.address}>:${exchange.client.port}`),
    {},
    { proxyProtocol: true },
  );
}

/** A program with a configuration that is written for a folder of its own, which holds its sockets. */
async function startPeer(
  context: TestContext,
  name: "haproxy" | "nginx",
  socket: string,
  configuration: (folder: string) => string,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), `tideway-${name}-`));
  const file = join(folder, "peer.conf");
  writeFileSync(file, configuration(folder));
  const args = name === "nginx" ? ["-p", folder, "-e", "stderr", "-c", file] : ["-db", "-f", file];
  const child: ChildProcess = spawn(findProgram(name)!, args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr!.on("data", (text: Buffer) => {
    said = (said + text.toString()).slice(-4096);
  });
  context.after(async () => {
    if (child.exitCode === null) {
      child.kill("SIGTERM");
      await once(child, "close");
    }
    rmSync(folder, { recursive: true, force: true });
  });
  while (!(await accepts(join(folder, socket)))) {
    assert.equal(child.exitCode, null, `${name} ended: ${said}`);
  }
  return folder;
}

async function accepts(path: string): Promise<boolean> {
  const socket = connect(path);
  const accepted = await new Promise<boolean>((done) => {
    socket.once("connect", () => done(true)).once("error", () => done(false));
  });
  socket.destroy();
  return accepted;
}

/** Says `bytes` and a request to whoever listens; what is heard until the end, however that comes. */
async function say(to: string | number, bytes: Uint8Array): Promise<string> {
  const socket = typeof to === "string" ? connect(to) : connect(to, "127.0.0.1");
  let heard = "";
  socket.on("data", (chunk: Buffer) => {
    heard += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  socket.write(Buffer.concat([bytes, Buffer.from(request)]));
  await new Promise((done) => socket.once("close", done));
  return heard;
}

const relays = {
  "send-proxy": "send-proxy",
  "send-proxy-v2": "send-proxy-v2",
  "send-proxy-v2 with a checksum": "send-proxy-v2 proxy-v2-options crc32c",
  "send-proxy-v2 with a unique id": "send-proxy-v2 proxy-v2-options unique-id",
};

test("HAProxy reads our headers and sends us its own, of either version, with checksum and extensions", {
  skip: requires("haproxy"),
}, async (context) => {
  const rig = await startOurs(context);
  const lanes = Object.values(relays);
  const folder = await startPeer(
    context,
    "haproxy",
    "0.sock",
    (folder) => `
global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 20s
  timeout server 20s
  unique-id-format %{+X}o\\ %ci:%cp
${lanes.map((options, i) => `listen lane${i}\n  bind unix@${folder}/${i}.sock accept-proxy\n  server us 127.0.0.1:${rig.port} ${options}`).join("\n")}
`,
  );
  for (const [i, lane] of Object.keys(relays).entries()) {
    const path = join(folder, `${i}.sock`);
    for (const addresses of [v4, v6]) {
      const expected = `<${addresses.source.address}>:4711`;
      for (const header of [encodeV1(addresses), encodeV2(addresses), encodeV2(addresses, { checksum: true })])
        assert.ok((await say(path, header)).endsWith(expected), `${lane}: ${expected}`);
    }
    // HAProxy knows nobody here, and says so in whatever way it has.
    for (const header of [encodeV1(null), encodeV2(null)])
      assert.match(await say(path, header), /<127\.0\.0\.1>:\d+$/, lane);
  }
  assert.equal(rig.listener.counters.refused, 0);
});

test("HAProxy's health checks come with LOCAL, and are answered", { skip: requires("haproxy") }, async (context) => {
  const rig = await startOurs(context);
  await startPeer(
    context,
    "haproxy",
    "0.sock",
    (folder) => `
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
listen lane
  bind unix@${folder}/0.sock
  option httpchk
  http-check send meth GET uri /check ver HTTP/1.1 hdr Host a.test
  server us 127.0.0.1:${rig.port} send-proxy-v2 check inter 100ms
`,
  );
  await eventually(() => rig.records.some((record) => record.path === "/check" && record.status === 200));
  assert.equal(rig.listener.counters.refused, 0);
});

test("curl --haproxy-protocol is who it is", { skip: requires("curl") }, async (context) => {
  const rig = await startOurs(context);
  const { stdout } = await promisify(execFile)("curl", [
    "-sS",
    "--haproxy-protocol",
    `http://127.0.0.1:${rig.port}/`,
    "--noproxy",
    "*",
  ]);
  assert.match(stdout, /^<127\.0\.0\.1>:\d+$/);
});

/** A header by its parts: version and command, family and transport, length of what follows, that itself. */
function v2(command: number, family: number, hex: string, length = hex.replaceAll(" ", "").length / 2): Buffer {
  const start = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
  const rest = Buffer.from(hex.replaceAll(" ", ""), "hex");
  return Buffer.concat([start, Buffer.from([command, family, length >> 8, length & 0xff]), rest]);
}

const block = "c0000207 c0000201 1267 01bb";
const line = (text: string) => Buffer.from(`PROXY ${text}\r\n`, "latin1");

interface Case {
  readonly header: Buffer;
  /** Whom we take for the client: `own` for the connection's own ends, `no` when it is refused. */
  readonly ours: string;
  /** Why we accept what HAProxy or nginx refuses. */
  readonly despite?: string;
}

const cases: Readonly<Record<string, Case>> = {
  "version 1, TCP4": { header: encodeV1(v4), ours: "192.0.2.7" },
  "version 1, TCP6": { header: encodeV1(v6), ours: "2001:db8::7" },
  "version 1, UNKNOWN": { header: line("UNKNOWN"), ours: "own" },
  "version 1, UNKNOWN and more": {
    header: line("UNKNOWN ffff::1 ffff::2 1 2"),
    ours: "own",
    despite: "§2.1: anything before the CRLF must be ignored",
  },
  "version 1, UNKNOWN without a space": { header: line("UNKNOWNX"), ours: "no" },
  "version 1, LF alone": { header: Buffer.from("PROXY TCP4 192.0.2.7 192.0.2.1 1 2\n"), ours: "no" },
  "version 1, leading zeros in an address": { header: line("TCP4 192.0.02.7 192.0.2.1 1 2"), ours: "no" },
  "version 1, leading zeros in a port": { header: line("TCP4 192.0.2.7 192.0.2.1 01 2"), ours: "no" },
  "version 1, a port too large": { header: line("TCP4 192.0.2.7 192.0.2.1 65536 2"), ours: "no" },
  "version 1, IPv6 said to be TCP4": { header: line("TCP4 ::1 ::1 1 2"), ours: "no" },
  "version 1, two spaces": { header: line("TCP4 192.0.2.7  192.0.2.1 1 2"), ours: "no" },
  "version 1, a part too many": { header: line("TCP4 192.0.2.7 192.0.2.1 1 2 3"), ours: "no" },
  "version 1, too long": { header: line(`UNKNOWN ${"x".repeat(100)}`), ours: "no" },
  "version 1, UDP4": { header: line("UDP4 192.0.2.7 192.0.2.1 1 2"), ours: "no" },
  "no header": { header: Buffer.alloc(0), ours: "no" },
  "version 2, TCP4": { header: v2(0x21, 0x11, block), ours: "192.0.2.7" },
  "version 2, TCP6": { header: encodeV2(v6), ours: "2001:db8::7" },
  "version 2, UDP4": {
    header: v2(0x21, 0x12, block),
    ours: "192.0.2.7",
    despite: "§2.2: who does not know a valid combination takes the connection's own ends; we know it",
  },
  "version 2, LOCAL": { header: v2(0x20, 0x00, ""), ours: "own" },
  "version 2, LOCAL with addresses": { header: v2(0x20, 0x11, block), ours: "own" },
  "version 2, unspecified": {
    header: v2(0x21, 0x00, ""),
    ours: "own",
    despite: "§2.2: may be accepted with the connection's own ends, as nginx does",
  },
  "version 2, an unknown command": { header: v2(0x22, 0x11, block), ours: "no" },
  "version 2, another version": { header: v2(0x31, 0x11, block), ours: "no" },
  "version 2, too short for its family": { header: v2(0x21, 0x11, block.slice(0, -2)), ours: "no" },
  "version 2, an unknown family": { header: v2(0x21, 0x41, block), ours: "no" },
  "version 2, with an extension": { header: v2(0x21, 0x11, `${block} ee 0001 61`), ours: "192.0.2.7" },
  "version 2, an extension cut off": { header: v2(0x21, 0x11, `${block} ee 0009 61`), ours: "no" },
  "version 2, a right checksum": { header: encodeV2(v4, { checksum: true }), ours: "192.0.2.7" },
  "version 2, a wrong checksum": { header: v2(0x21, 0x11, `${block} 03 0004 00000000`), ours: "no" },
};

/** The client that an answer names, `own` for none or for this machine, `no` for no answer or a refusal. */
function verdict(heard: string): string {
  if (!heard.startsWith("HTTP/1.1 200")) return "no";
  const named = /<([^>]*)>/.exec(heard)![1]!;
  return named === "" || named === "127.0.0.1" || named.startsWith("unix") || named === "-" ? "own" : named;
}

test("what HAProxy and nginx refuse we refuse, or the case says why not; whom they take for the client we do", {
  skip: requires("haproxy", "nginx"),
}, async (context) => {
  const rig = await startOurs(context);
  const haproxy = await startPeer(
    context,
    "haproxy",
    "0.sock",
    (folder) => `
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
frontend lane
  bind unix@${folder}/0.sock accept-proxy
  http-request return status 200 content-type text/plain lf-string "<%[src]>"
`,
  );
  const nginx = await startPeer(
    context,
    "nginx",
    "0.sock",
    (folder) => `
daemon off;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server { listen unix:${folder}/0.sock proxy_protocol; location / { return 200 "<$proxy_protocol_addr>"; } }
}
`,
  );
  const found: Record<string, string> = {};
  const wanted: Record<string, string> = {};
  const unlike: string[] = [];
  for (const [what, { header, ours, despite }] of Object.entries(cases)) {
    found[what] = verdict(await say(rig.port, header));
    wanted[what] = ours;
    for (const [name, folder] of [
      ["HAProxy", haproxy],
      ["nginx", nginx],
    ] as const) {
      const theirs = verdict(await say(join(folder, "0.sock"), header));
      if (theirs !== ours) context.diagnostic(`${what}: ours ${ours}, ${name} ${theirs}`);
      const weaker = theirs === "no" && ours !== "no" && despite === undefined;
      const another = theirs !== "no" && theirs !== "own" && ours !== "no" && ours !== theirs;
      if (weaker || another) unlike.push(`${what}: ours ${ours}, ${name} ${theirs}`);
    }
  }
  assert.deepEqual(found, wanted);
  assert.deepEqual(unlike, []);
});
