/**
 * The stock client's whole API in Chromium, in a page of the server's own origin and in one of another: against `socket.io`
 * from npm, against ours by itself, and against ours behind a running Tideway, in two instances; there in Node, too. The client
 * is the one that each server serves. The cases are `packages/realtime/testing/client-cases`.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import {
  type CasesServer,
  caseOptions,
  clientCases,
  runCase,
  serveCases,
  servePage,
  servers,
  type Tools,
} from "@tideway/realtime/testing";
import { requires } from "@tideway/scripts/requires";
import type { Page } from "playwright-core";
import { io, Manager } from "socket.io-client";
import { TestBrowser } from "./harness/browser.ts";
import { RunningTideway, repository, temporaryFolder, until, writeConfiguration } from "./harness/tideway.ts";

interface Place {
  readonly url: string;
  close(): Promise<void>;
}

async function openHere(make: (typeof servers)[number][1]): Promise<Place> {
  const http = createServer(servePage);
  const server: CasesServer = make(http, caseOptions as object);
  serveCases(server);
  // `socket.io` waits so long for a last poll of one that it cut off. Longer than this file may stay open after its tests.
  server.engine.on("connection", ({ transport }: { transport: object }) => {
    if ("closeTimeout" in transport) transport.closeTimeout = 1_000;
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    async close() {
      http.closeAllConnections();
      await server.close();
    },
  };
}

async function openTideway(): Promise<Place> {
  const folder = temporaryFolder("client");
  const source = {
    listen: [{ port: 0 }],
    console: false,
    data: join(folder.path, "data"),
    log: { requests: false },
    services: {
      web: { command: `node ${join(repository, "e2e/apps/client-cases.ts")}`, instances: 2 },
      live: { realtime: { service: "web" } },
    },
    sites: { "*": { "/": "web", "/socket.io": "live" } },
  };
  const tideway = await RunningTideway.start(writeConfiguration(folder.path, JSON.stringify(source)));
  await until("both instances to join the hub", async () => {
    return (await tideway.status()).realtime[0]?.servers.length === 2;
  });
  return {
    url: tideway.url,
    async close() {
      await tideway.stop();
      folder.remove();
    },
  };
}

const places: readonly (readonly [string, () => Promise<Place>])[] = [
  ...servers
    .filter(([name]) => name !== "tideway over a link")
    .map(([name, make]) => [name, () => openHere(make)] as const),
  ["tideway start", openTideway],
];

const runs = [
  { label: "polling", transports: ["polling"], crossOrigin: true },
  { label: "websocket", transports: ["websocket"], crossOrigin: true },
  { label: "the upgrade", transports: ["polling", "websocket"], crossOrigin: true },
  { label: "the upgrade, same origin", transports: ["polling", "websocket"], crossOrigin: false },
] as const;

// Most of their time is waiting: side by side they take a third of it.
suite("the stock client in Chromium", { skip: requires("chromium"), concurrency: places.length }, () => {
  const elsewhere = createServer(servePage);
  let browser: TestBrowser;

  before(async () => {
    elsewhere.listen(0, "127.0.0.1");
    await once(elsewhere, "listening");
    browser = await TestBrowser.start();
  });
  after(async () => {
    await browser?.close();
    elsewhere.closeAllConnections();
    elsewhere.close();
  });

  for (const [name, open] of places) {
    suite(name, { concurrency: runs.length }, () => {
      let place: Place;
      before(async () => {
        place = await open();
      });
      after(() => place?.close());

      for (const { label, transports, crossOrigin } of runs) {
        // A browser has six connections for one host: polls of several cases would wait for one another.
        suite(label, { concurrency: 1 }, () => {
          let page: Page;
          before(async () => {
            const { port } = elsewhere.address() as AddressInfo;
            page = await browser.page(`${crossOrigin ? `http://127.0.0.1:${port}` : place.url}/cases.html`);
            await page.addScriptTag({ url: `${place.url}/socket.io/socket.io.js` });
          });
          after(() => page?.context().close());

          for (const rule of Object.keys(clientCases)) {
            test(rule, { timeout: 20_000 }, async () => {
              const tools = { url: place.url, transports, inBrowser: true, crossOrigin };
              const own = "{ io, Manager: io.Manager }";
              const run = `runCase(${JSON.stringify(rule)}, { ...${JSON.stringify(tools)}, ...${own} })`;
              await page.evaluate(`import("/cases.ts").then(({ runCase }) => ${run})`);
            });
          }
        });
      }
    });
  }
});

suite("the stock client in Node, behind a running Tideway", { concurrency: 4 }, () => {
  let place: Place;
  before(async () => {
    place = await openTideway();
  });
  after(() => place?.close());

  for (const { label, transports, crossOrigin } of runs) {
    if (!crossOrigin) continue;
    for (const rule of Object.keys(clientCases)) {
      test(`${rule} (${label})`, { timeout: 20_000 }, () => {
        const tools: Tools = { io, Manager, url: place.url, transports, inBrowser: false, crossOrigin: false };
        return runCase(rule, tools);
      });
    }
  }
});
