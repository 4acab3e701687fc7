/**
 * nginx and HAProxy in front of recording services, set up as a user would and with their strict defaults. Each runs in
 * lanes, a listening socket and a service of its own to each, so that many cases can be asked at once. Sockets are
 * files: no port is guessed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "@tideway/scripts/requires";
import type { Case } from "./case.ts";

export const peers = ["nginx", "haproxy"] as const;
export type PeerName = (typeof peers)[number];

/** How long a peer waits for the rest of a message. */
const patienceMs = 20_000;
const startLimitMs = 20_000;
/** Stands in the head and in the body of what a service answers: an answer may come without the one or the other. */
const mark = "from-the-service";

const nginx = (folder: string, lanes: readonly Lane[]): string => `
worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_header_timeout ${patienceMs}ms;
  client_body_timeout ${patienceMs}ms;
  keepalive_timeout ${patienceMs}ms;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
${lanes.map(({ path, port }) => `  server { listen unix:${path}; location / { proxy_pass http://127.0.0.1:${port}; } }`).join("\n")}
}
`;

const haproxy = (_folder: string, lanes: readonly Lane[]): string => `
global
  nbthread 1
  maxconn 1024
defaults
  mode http
  timeout connect 5s
  timeout client ${patienceMs}ms
  timeout server 30s
  timeout http-request ${patienceMs}ms
  option forwardfor
${lanes.map(({ path, port }, i) => `listen lane${i}\n  bind unix@${path}\n  server web 127.0.0.1:${port}`).join("\n")}
`;

const setups = {
  nginx: { configuration: nginx, command: (file: string) => ["-c", file, "-e", "stderr"] },
  haproxy: { configuration: haproxy, command: (file: string) => ["-db", "-f", file] },
} as const;

interface Lane {
  readonly path: string;
  readonly server: Server;
  readonly port: number;
}

/** What became of a case: how many answers came from the service, and the peer's own; 0 when it only closed. */
export interface Verdict {
  readonly answered: number;
  readonly status: number;
}

async function openLane(path: string): Promise<Lane> {
  const server = createServer({ noDelay: true });
  const answer = `HTTP/1.1 200 OK\r\nx-mark: ${mark}\r\nconnection: close\r\ncontent-length: ${mark.length}\r\n\r\n`;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const lane = { path, server, port: (server.address() as AddressInfo).port };
  server.on("connection", (socket) => {
    socket.on("error", () => {});
    socket.once("data", (first: Buffer) => {
      socket.end(answer + (first.toString("latin1", 0, 5) === "HEAD " ? "" : mark));
      socket.resume();
    });
  });
  return lane;
}

export class Peer {
  readonly name: PeerName;
  readonly #folder: string;
  readonly #lanes: readonly Lane[];
  readonly #process: ChildProcess;
  #said = "";

  private constructor(name: PeerName, folder: string, lanes: readonly Lane[], process: ChildProcess) {
    this.name = name;
    this.#folder = folder;
    this.#lanes = lanes;
    this.#process = process;
    for (const stream of [process.stdout!, process.stderr!]) {
      stream.on("data", (text: Buffer) => {
        this.#said = (this.#said + text.toString()).slice(-4096);
      });
    }
  }

  static async start(name: PeerName, laneCount: number): Promise<Peer> {
    const folder = mkdtempSync(join(tmpdir(), `tideway-${name}-`));
    const paths = Array.from({ length: laneCount }, (_, i) => join(folder, `${i}.sock`));
    const lanes = await Promise.all(paths.map(openLane));
    const { configuration, command } = setups[name];
    const file = join(folder, `${name}.conf`);
    writeFileSync(file, configuration(folder, lanes));
    const child = spawn(findProgram(name)!, command(file), { stdio: ["ignore", "pipe", "pipe"] });
    const peer = new Peer(name, folder, lanes, child);
    const limit = performance.now() + startLimitMs;
    while (!(await accepts(paths.at(-1)!))) {
      const over = child.exitCode !== null || performance.now() > limit;
      if (!over) continue;
      await peer.stop();
      throw new Error(`${name} does not accept connections: ${peer.#said}`);
    }
    return peer;
  }

  /** Every case, each lane one after another; in the order of the cases. */
  async judge(cases: readonly Case[]): Promise<Verdict[]> {
    const verdicts = new Array<Verdict>(cases.length);
    let next = 0;
    await Promise.all(
      this.#lanes.map(async (lane) => {
        for (let i = next++; i < cases.length; i = next++) verdicts[i] = await judge(lane, cases[i]!);
      }),
    );
    return verdicts;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null) {
      const closed = once(this.#process, "close");
      this.#process.kill("SIGTERM");
      await closed;
    }
    for (const { server } of this.#lanes) server.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function accepts(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(path);
    socket.once("connect", () => done(true)).once("error", () => setTimeout(() => done(false), 20));
    socket.once("connect", () => socket.destroy());
  });
}

/** Says the bytes and listens until as many answers came as we would give, an answer that is the peer's own, or the end. */
async function judge(lane: Lane, each: Case): Promise<Verdict> {
  const wanted = Math.max(1, each.sees.length);
  const socket = connect({ path: lane.path, allowHalfOpen: true });
  socket.setEncoding("latin1");
  socket.write(Buffer.from(each.bytes, "latin1"));
  let heard = "";
  await new Promise<void>((done) => {
    socket.on("data", (text: string) => {
      heard += text;
      if (marks(heard) >= wanted || ownStatus(heard) !== 0) done();
    });
    socket.on("end", done);
    socket.on("error", () => done());
    socket.on("close", () => done());
  });
  socket.destroy();
  return { answered: marks(heard), status: ownStatus(heard) };
}

/** Answers of the service; to HEAD without a body, to what is taken for HTTP/0.9 without a head. */
function marks(heard: string): number {
  return Math.max(heard.split(`x-mark: ${mark}`).length, heard.split(`\n${mark}`).length) - 1;
}

function ownStatus(heard: string): number {
  for (const [, status] of heard.matchAll(/HTTP\/1\.[01] (\d{3}) /g)) if (Number(status) >= 300) return Number(status);
  return 0;
}
