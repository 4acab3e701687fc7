import assert from "node:assert/strict";
import { test } from "node:test";
import type { StatusReport } from "../console/index.ts";
import { readableStatus } from "./status.ts";

const quiet: StatusReport = {
  version: "0.1.0",
  configuration: "/srv/tideway.config.ts",
  pid: 77,
  uptimeMs: 3_700_000,
  listeners: [{ address: "127.0.0.1:7777", connections: 3, accepted: 9, requests: 40, refused: 2, shed: 0 }],
  sites: [{ site: "*", path: "/", service: "web" }],
  services: [{ name: "files", kind: "files", waiting: 0, instances: [] }],
  realtime: [],
  names: null,
};

const counters = {
  requests: 1_000,
  retries: 3,
  failures: 4,
  ejections: 1,
  queued: 9,
  queueTimeouts: 1,
  queueRefusals: 2,
  unavailable: 0,
  breakerOpenings: 1,
  breakerRefusals: 4,
};

const busy: StatusReport = {
  ...quiet,
  streams: [
    {
      address: "127.0.0.1:5432",
      protocol: "tcp",
      service: "db",
      counters: { connections: 1, accepted: 2, refused: 0 },
    },
  ],
  services: [
    {
      name: "web",
      kind: "upstreams",
      waiting: 2,
      breaker: "open",
      counters,
      names: [{ name: "db.abc.test", addresses: [], fault: "ENOTFOUND" }],
      instances: [
        {
          id: "10.0.0.1:80",
          state: "up",
          why: "probe passed",
          forMs: 61_000,
          active: 2,
          connections: 5,
          latencyMs: 12.34,
          weight: 2,
          weightNow: 0.5,
          counters: { requests: 999, retries: 3, failures: 0, ejections: 0 },
        },
        {
          id: "10.0.0.2:80",
          state: "down",
          why: "request: refused",
          forMs: 900,
          active: 0,
          connections: 0,
          latencyMs: -1,
          counters: { requests: 1_000, retries: 0, failures: 4, ejections: 1 },
        },
      ],
    },
  ],
};

test("status leaves out what has nothing to say", () => {
  assert.equal(
    readableStatus(quiet),
    `Tideway 0.1.0, process 77, running for 1 h 1 min
/srv/tideway.config.ts

LISTENER        CONNECTIONS  ACCEPTED  REQUESTS  REFUSED  TURNED AWAY
127.0.0.1:7777            3         9        40        2            0

SITE  PATH  SERVICE
*     /     web`,
  );
});

test("status shows services with queue, retries and errors, instances with state, load, latency and errors, and why one is down", () => {
  const text = readableStatus(busy);
  assert.equal(
    text.slice(text.indexOf("STREAM")),
    `STREAM          PROTOCOL  SERVICE  OPEN  ACCEPTED  REFUSED
127.0.0.1:5432  tcp       db          1         2        0

SITE  PATH  SERVICE
*     /     web

SERVICE  KIND       REQUESTS  WAITING  RETRIES  ERRORS     EJECTIONS  TURNED AWAY  BREAKER
web      upstreams      1000        2        3  4 (0.4 %)          1            7  open

SERVICE  INSTANCE     STATE  FOR    ACTIVE  CONNECTIONS  LATENCY  WEIGHT    REQUESTS  ERRORS     WHY
web      10.0.0.1:80  up     1 min       2            5  12.3 ms  0.5 of 2       999  0
web      10.0.0.2:80  down   0 s         0            0                         1000  4 (0.4 %)  request: refused

UPSTREAMS OF  NAME         FAULT
web           db.abc.test  ENOTFOUND`,
  );
});

test("status shows the streams of realtime services: first, last, bytes, age", () => {
  const live = {
    name: "live",
    path: "/socket.io",
    durability: "disk",
    connections: 4,
    sockets: 5,
    servers: [{ instance: "web-1", sockets: 5 }],
    streams: [
      { namespace: "/", first: 70, last: 77, bytes: 800, ageMs: 5_000 },
      { namespace: "/quiet", first: 10, last: 9, bytes: 0, ageMs: -1 },
    ],
  };
  const text = readableStatus({ ...quiet, realtime: [live] });
  assert.equal(
    text.slice(text.indexOf("EVENTS OF")),
    `EVENTS OF  NAMESPACE  FIRST  LAST  BYTES  AGE
live       /          70       77  800    5 s
live       /quiet               9`,
  );
});
