/** A TCP service between HAProxy and HAProxy: what they write and read of the PROXY protocol is what we do. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout } from "node:timers/promises";
import { freePort } from "@tideway/scripts/free-port";
import { findProgram, requires } from "@tideway/scripts/requires";
import { connected, hear, until } from "../tunnel/testing.ts";
import { open, tcpRig } from "./rig.testing.ts";

/** Starts HAProxy; resolves with its port once it accepts connections. */
async function startHaproxy(sectionsAt: (port: number) => string): Promise<number> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "tideway-haproxy-"));
  const timeouts = "timeout connect 5s\n  timeout client 60s\n  timeout server 60s";
  writeFileSync(join(folder, "haproxy.cfg"), `defaults\n  ${timeouts}\n${sectionsAt(port)}\n`);
  const haproxy = spawn(findProgram("haproxy")!, ["-db", "-f", join(folder, "haproxy.cfg")], { stdio: "ignore" });
  const exited = once(haproxy, "exit");
  open.push({
    close: async () => {
      haproxy.kill("SIGKILL");
      await exited;
      rmSync(folder, { recursive: true });
    },
  });
  for (let listening = false; !listening; ) {
    assert.equal(haproxy.exitCode, null, "HAProxy did not start");
    await setTimeout(5);
    listening = await connected(port).then(
      (socket) => socket.destroy() !== null,
      () => false,
    );
  }
  return port;
}

describe("beside HAProxy", { skip: requires("haproxy") }, () => {
  for (const [into, out] of [
    ["send-proxy", "v1"],
    ["send-proxy-v2", "v1"],
    ["send-proxy", "v2"],
    ["send-proxy-v2", "v2"],
  ] as const) {
    it(`a client that comes by ${into} and goes on by ${out} is known behind us`, async () => {
      const answers = '  http-request return status 200 content-type text/plain lf-string "client %[src]:%[src_port]"';
      const behind = await startHaproxy(
        (at) => `frontend f\n  mode http\n  bind 127.0.0.1:${at} accept-proxy\n${answers}`,
      );
      const { port } = await tcpRig([{ port: behind }], { proxyProtocol: true }, { proxyProtocol: out });
      const front = await startHaproxy(
        (at) => `listen f\n  mode tcp\n  bind 127.0.0.1:${at}\n  server s 127.0.0.1:${port} ${into}`,
      );
      const client = await connected(front, "127.0.0.1", "127.0.0.9");
      const heard = hear(client);
      client.write("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
      await until(() => heard.ended);
      assert.match(heard.text, new RegExp(`\r\n\r\nclient 127\\.0\\.0\\.9:${client.localPort}$`));
    });
  }
});
