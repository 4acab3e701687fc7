/** nginx and HAProxy before or behind the gateway, as users have them. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { findProgram } from "@tideway/scripts/requires";
import { temporaryFolder, until } from "../harness/tideway.ts";
import type { Owner } from "./origins.ts";

/** Starts the program with `configuration`, which is told a folder of its own; resolves once `port` accepts. */
export async function peer(
  t: Owner,
  name: "nginx" | "haproxy",
  port: number,
  configuration: (folder: string) => string,
): Promise<ChildProcess> {
  const folder = temporaryFolder(name);
  const file = join(folder.path, "peer.conf");
  writeFileSync(file, configuration(folder.path));
  const words = name === "nginx" ? ["-c", file, "-e", "stderr"] : ["-db", "-f", file];
  const child = spawn(findProgram(name)!, words, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  t.after(async () => {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    folder.remove();
  });
  await until(`${name} at port ${port}`, async () => {
    assert.equal(child.exitCode, null, `${name} did not start: ${said}`);
    return accepts(port);
  });
  return child;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  const heard = await new Promise<boolean>((done) => {
    socket.once("connect", () => done(true)).once("error", () => done(false));
  });
  socket.destroy();
  return heard;
}

/** An nginx in one process with one server. */
export function nginx(folder: string, server: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `
    daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr crit;
    events { worker_connections 64; }
    http {
      access_log off;
      ${temporary.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(" ")}
      server { ${server} }
    }`;
}

export function haproxy(sections: string): string {
  return `defaults\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n${sections}\n`;
}
