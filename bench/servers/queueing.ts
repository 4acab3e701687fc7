/**
 * An instance that takes its time, like a database: so many workers, each busy with one request for as long as that takes; the
 * others wait in order. Arguments: its name, the mean milliseconds of a request, and how many workers it has. A request
 * says in `x-work` how many times the mean it takes, so that every run asks for the same work. Answers with its name.
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { announce } from "./announce.ts";

const [name = "", meanMs = "0", workers = "1"] = process.argv.slice(2);
const keepAliveTimeout = 120_000;

interface Job {
  readonly ms: number;
  readonly response: ServerResponse;
}

const waiting: Job[] = [];
let free = Number(workers);

function next(): void {
  const job = free > 0 ? waiting.shift() : undefined;
  if (job === undefined) return;
  free--;
  setTimeout(() => {
    job.response.end(name);
    free++;
    next();
  }, job.ms);
}

const server = createServer({ keepAliveTimeout }, (request, response) => {
  request.resume();
  waiting.push({ ms: Number(request.headers["x-work"] ?? 1) * Number(meanMs), response });
  next();
});
server.listen(0, "127.0.0.1", () => announce((server.address() as AddressInfo).port));
