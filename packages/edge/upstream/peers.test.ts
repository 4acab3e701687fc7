/** The PROXY header as nginx and HAProxy read it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { freePort } from "@tideway/scripts/free-port";
import { findProgram, requires } from "@tideway/scripts/requires";
import type { Asker, ProxyVersion } from "./index.ts";
import { open, Sent, serviceOf } from "./sent.testing.ts";
import { asker } from "./testing.ts";

const nginx = (folder: string, port: number): string => `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 64; }
http {
  access_log off;
  ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`).join(" ")}
  server {
    listen 127.0.0.1:${port} proxy_protocol;
    location / {
      return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port";
    }
  }
}
`;

const haproxy = (_folder: string, port: number): string => `
defaults
  mode http
  timeout client 20s
frontend front
  bind 127.0.0.1:${port} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port]"
`;

const peers = { nginx, haproxy };

/** Starts it; whether it listens is for the probes of the service to find out. */
async function start(name: keyof typeof peers): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), `tideway-${name}-`));
  const port = await freePort();
  const file = join(folder, "peer.conf");
  writeFileSync(file, peers[name](folder, port));
  const args = name === "nginx" ? ["-c", file, "-e", "stderr"] : ["-db", "-f", file];
  const child = spawn(findProgram(name)!, args, { stdio: "ignore" });
  open.push({
    async close() {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      rmSync(folder, { recursive: true, force: true });
    },
  });
  return port;
}

function from(address: string, localAddress: string): Asker {
  return { ...asker(), client: { address, port: 4711, localPort: 443, localAddress, secure: true } };
}

for (const name of ["nginx", "haproxy"] as const) {
  describe(`${name}, which wants the PROXY protocol`, { skip: requires(name) }, () => {
    for (const version of ["v1", "v2"] as const satisfies ProxyVersion[]) {
      it(`${version}: its probes pass, and it is told of each client, over IPv4 and IPv6`, async () => {
        const port = await start(name);
        const { service, log } = serviceOf({ proxyProtocol: version, health: { path: "/" } });
        service.add({ id: "a", host: "127.0.0.1", port });
        await log.state("a", "up");
        for (const [address, localAddress] of [
          ["192.0.2.7", "198.51.100.1"],
          ["2001:db8::7", "2001:db8::1"],
          ["192.0.2.8", "198.51.100.1"],
        ] as const) {
          const sent = new Sent(service, false, from(address, localAddress));
          assert.equal(await sent.over, "end");
          assert.deepEqual(sent.trail, ["head 200", `body ${address} 4711 ${localAddress} 443`]);
        }
      });
    }
  });
}
