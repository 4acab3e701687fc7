/**
 * A service behind the gateway: `/small` is 100 bytes, `/big` a MiB, `POST` is answered when its body is whole. Listens on as
 * many ports as its argument says, each an instance, and prints them with `{ "ports": […] }`. `/asked` says how many asked.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const small = Buffer.alloc(100, "s");
const big = Buffer.alloc(1024 * 1024, "b");
let asked = 0;

const ports: number[] = [];
for (let i = 0; i < Number(process.argv[2]); i++) {
  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (incoming, outgoing) => {
    if (incoming.url === "/asked") return void outgoing.end(String(asked));
    if (incoming.url !== "/healthy") asked++;
    if (incoming.method === "POST") return void incoming.resume().on("end", () => outgoing.end(small));
    outgoing.end(incoming.url === "/big" ? big : small);
  });
  // A crowd comes at once: who finds no room in the queue would try again after seconds.
  await new Promise<void>((done) => server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, done));
  ports.push((server.address() as AddressInfo).port);
}
process.stdout.write(`${JSON.stringify({ ports })}\n`);
