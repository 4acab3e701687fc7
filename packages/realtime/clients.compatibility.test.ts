/** The stock client's whole API in Node, against `socket.io` from npm and against ours. `e2e/client.test.ts` has browsers. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, suite, test } from "node:test";
import { io, Manager } from "socket.io-client";
import { caseOptions, clientCases, runCase, serveCases, servePage, type Tools } from "./testing/client-cases/index.ts";
import { servers, transports } from "./testing/counterparts.ts";
import { Edge } from "./testing/edge.ts";

for (const [name, make] of servers) {
  suite(name, { concurrency: 4 }, () => {
    const http = createServer(servePage);
    const server = make(http, caseOptions as object);
    let url = "";

    before(async () => {
      serveCases(server);
      http.listen(0, "127.0.0.1");
      await once(http, "listening");
      url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    });

    after(async () => {
      await server.close();
      await Edge.of(http)?.close();
    });

    for (const [label, options] of transports) {
      const wanted = options.transports as Tools["transports"];
      for (const rule of Object.keys(clientCases)) {
        test(`${rule} (${label})`, { timeout: 20_000 }, () =>
          runCase(rule, { io, Manager, url, transports: wanted, inBrowser: false, crossOrigin: false }),
        );
      }
    }
  });
}
