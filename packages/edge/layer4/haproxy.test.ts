/** A TCP service between HAProxy and HAProxy: what they write and read of the PROXY protocol is what we do. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { findProgram, requires } from "@tideway/scripts/requires";
import { connected, hear, until } from "../tunnel/testing.ts";
import { open, TcpServer, tcpRig } from "./rig.testing.ts";

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = await TcpServer.open();
  const { port } = server;
  await server.close();
  return port;
}

async function startHaproxy(sections: string, port: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "tideway-haproxy-"));
  const timeouts = "timeout connect 5s\n  timeout client 60s\n  timeout server 60s";
  writeFileSync(join(folder, "haproxy.cfg"), `defaults\n  ${timeouts}\n${sections}\n`);
  const haproxy = spawn(findProgram("haproxy")!, ["-db", "-f", join(folder, "haproxy.cfg")], { stdio: "ignore" });
  const exited = once(haproxy, "exit");
  open.push({
    close: async () => {
      haproxy.kill("SIGKILL");
      await exited;
      rmSync(folder, { recursive: true });
    },
  });
  for (let listening = false; !listening && haproxy.exitCode === null; ) {
    listening = await connected(port).then(
      (socket) => socket.destroy() !== null,
      () => false,
    );
  }
}

describe("beside HAProxy", { skip: requires("haproxy") }, () => {
  for (const [into, out] of [
    ["send-proxy", "v1"],
    ["send-proxy-v2", "v1"],
    ["send-proxy", "v2"],
    ["send-proxy-v2", "v2"],
  ] as const) {
    it(`a client that comes by ${into} and goes on by ${out} is known behind us`, async () => {
      const behind = await freePort();
      const answers = '  http-request return status 200 content-type text/plain lf-string "client %[src]:%[src_port]"';
      await startHaproxy(`frontend f\n  mode http\n  bind 127.0.0.1:${behind} accept-proxy\n${answers}`, behind);
      const { port } = await tcpRig([{ port: behind }], { proxyProtocol: true }, { proxyProtocol: out });
      const front = await freePort();
      await startHaproxy(
        `listen f\n  mode tcp\n  bind 127.0.0.1:${front}\n  server s 127.0.0.1:${port} ${into}`,
        front,
      );
      const client = await connected(front, "127.0.0.1", "127.0.0.9");
      const heard = hear(client);
      client.write("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
      await until(() => heard.ended);
      assert.match(heard.text, new RegExp(`\r\n\r\nclient 127\\.0\\.0\\.9:${client.localPort}$`));
    });
  }
});
