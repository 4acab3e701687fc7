/**
 * Healthy clients, in a process of their own: each asks for 100 bytes, waits for them, rests, and asks again; every other one
 * over a new connection each time. Does what one message asks, and answers with one.
 */
import { Agent, get } from "node:http";

export interface SteadyTask {
  readonly port: number;
  readonly clients: number;
  /** Between an answer and the next request of a client. */
  readonly restMs: number;
  readonly measureMs: number;
}

export interface SteadyResult {
  readonly requests: number;
  readonly failed: number;
  readonly medianMs: number;
  readonly p99Ms: number;
}

function ask(port: number, agent: Agent): Promise<boolean> {
  return new Promise((done) => {
    get({ host: "127.0.0.1", port, path: "/small", agent }, (response) => {
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.on("end", () => done(response.statusCode === 200 && bytes === 100));
      response.on("error", () => done(false));
    }).on("error", () => done(false));
  });
}

async function steady({ port, clients, restMs, measureMs }: SteadyTask): Promise<SteadyResult> {
  const latencies: number[] = [];
  let failed = 0;
  const end = performance.now() + measureMs;
  const work = async (number: number): Promise<void> => {
    const agent = new Agent({ keepAlive: number % 2 === 0, maxSockets: 1 });
    while (performance.now() < end) {
      const start = performance.now();
      if (!(await ask(port, agent))) failed++;
      latencies.push(performance.now() - start);
      await new Promise((done) => setTimeout(done, restMs));
    }
    agent.destroy();
  };
  await Promise.all(Array.from({ length: clients }, (_, number) => work(number)));
  latencies.sort((a, b) => a - b);
  const at = (part: number): number => latencies[Math.floor(latencies.length * part)]!;
  return { requests: latencies.length, failed, medianMs: at(0.5), p99Ms: at(0.99) };
}

process.on("message", async (task: SteadyTask) => process.send?.(await steady(task)));
process.once("disconnect", () => process.exit());
process.send?.({ ready: true });
