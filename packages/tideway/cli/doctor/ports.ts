/**
 * Can the ports of the configuration be had? Each is bound and let go at once; of one that is taken the holder is looked
 * for, which may be the Tideway that runs already.
 */
import { createSocket } from "node:dgram";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";
import { type Finding, fault, ok } from "./finding.ts";

export interface PortClaim {
  readonly protocol: "tcp" | "udp";
  readonly host: string;
  readonly port: number;
  /** The option that moves it. */
  readonly option: string;
}

/** `runningPid` is the Tideway's that uses this data directory; null when none runs. */
export async function examinePorts(claims: readonly PortClaim[], runningPid: number | null): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const claim of claims) findings.push(await examinePort(claim, runningPid));
  return findings;
}

async function examinePort(claim: PortClaim, runningPid: number | null): Promise<Finding> {
  const { protocol, host, port, option } = claim;
  const where = `${protocol} ${host.includes(":") ? `[${host}]` : host}:${port}`;
  if (port === 0) return ok("ports", `${where}: any free port will do (${option})`);
  const code = await (protocol === "tcp" ? tryTcp(host, port) : tryUdp(host, port));
  if (code === "") return ok("ports", `${where} is free (${option})`);
  if (code === "EADDRINUSE") {
    const holder = holderOf(protocol, port);
    if (runningPid !== null && (holder === null || holder.pid === runningPid))
      return ok("ports", `${where} is held by the Tideway that runs, process ${runningPid}`);
    const who = holder === null ? "another program" : `${holder.name}, process ${holder.pid}`;
    return fault("ports", `${where} is taken by ${who}`, `Stop that program, or change ${option}.`);
  }
  if (code === "EACCES" || code === "EPERM") {
    const start = readNumber("/proc/sys/net/ipv4/ip_unprivileged_port_start") ?? 1_024;
    const allow = `sysctl net.ipv4.ip_unprivileged_port_start=${port}, or setcap cap_net_bind_service=+ep ${process.execPath}`;
    return fault(
      "ports",
      `${where}: this user may listen from ${start} on`,
      `Change ${option}, or allow it: ${allow}.`,
    );
  }
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND" || code === "EAFNOSUPPORT" || code === "EAI_AGAIN") {
    const host_ = option.replace(/port$/, "host");
    return fault(
      "ports",
      `${where}: ${host} is no address of this machine`,
      `Change ${host_}: 127.0.0.1, ::1, 0.0.0.0 or an own address.`,
    );
  }
  return fault("ports", `${where}: ${code}`, `Change ${option}.`);
}

/** The error's code; empty when it can be had. */
function tryTcp(host: string, port: number): Promise<string> {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => done("")));
  });
}

function tryUdp(host: string, port: number): Promise<string> {
  return new Promise((done) => {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    socket.once("error", (error: NodeJS.ErrnoException) => {
      socket.close();
      done(error.code ?? error.message);
    });
    socket.bind({ address: host, port, exclusive: true }, () => socket.close(() => done("")));
  });
}

const listening = "0A";

/** Null when nobody is found, or it is not for this user to see. */
export function holderOf(protocol: "tcp" | "udp", port: number): { pid: number; name: string } | null {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const inodes = new Set<string>();
  for (const table of [protocol, `${protocol}6`]) {
    for (const line of readLines(`/proc/net/${table}`)) {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      if (local.endsWith(`:${hex}`) && (protocol === "udp" || state === listening)) inodes.add(`socket:[${inode}]`);
    }
  }
  if (inodes.size === 0) return null;
  for (const pid of list("/proc").filter((name) => /^\d+$/.test(name))) {
    for (const descriptor of list(`/proc/${pid}/fd`)) {
      if (!inodes.has(linkOf(`/proc/${pid}/fd/${descriptor}`))) continue;
      return { pid: Number(pid), name: readLines(`/proc/${pid}/comm`)[0] ?? "a program" };
    }
  }
  return null;
}

// Processes come and go, and others' are closed to this user: what cannot be read is as good as not there.
function quietly<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

const list = (path: string): string[] => quietly(() => readdirSync(path), []);
const linkOf = (path: string): string => quietly(() => readlinkSync(path), "");
const readLines = (path: string): string[] => quietly(() => readFileSync(path, "latin1").trimEnd().split("\n"), []);

function readNumber(path: string): number | null {
  const text = readLines(path)[0] ?? "";
  return /^\d+$/.test(text) ? Number(text) : null;
}
