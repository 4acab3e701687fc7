/**
 * Open-loop load: requests leave when their time has come, whether or not earlier ones were answered, as those of many
 * people do. Latency is counted from the time at which a request was due, so that a late generator hides nothing.
 */
import { Agent, get } from "node:http";
import { text } from "node:stream/consumers";
import type { Random } from "@tideway/base";

export interface Arrival {
  /** Milliseconds from the beginning. */
  readonly at: number;
  /** How many times the mean it takes. */
  readonly work: number;
}

export interface Answered extends Arrival {
  readonly latencyMs: number;
  readonly body: string;
}

/** A Poisson process: independent arrivals, `perSecond` on average, of work that is distributed exponentially around 1. */
export function poisson(random: Random, perSecond: number, seconds: number): Arrival[] {
  const exponential = (mean: number): number => -mean * Math.log(1 - random.fraction());
  const arrivals: Arrival[] = [];
  for (let at = exponential(1000 / perSecond); at < seconds * 1000; at += exponential(1000 / perSecond)) {
    arrivals.push({ at, work: exponential(1) });
  }
  return arrivals;
}

/** Sends all of them to `url`; fails when one is not answered with 200. */
export async function send(url: string, arrivals: readonly Arrival[]): Promise<Answered[]> {
  const agent = new Agent({ keepAlive: true });
  const start = performance.now();
  const ask = async (arrival: Arrival): Promise<Answered> => {
    const body = await answer(url, agent, arrival.work);
    return { ...arrival, latencyMs: performance.now() - start - arrival.at, body };
  };
  const answers: Promise<Answered>[] = [];
  for (const arrival of arrivals) {
    const early = start + arrival.at - performance.now();
    if (early > 0) await new Promise((done) => setTimeout(done, early));
    const asked = ask(arrival);
    // Reported below, by the wait for all of them.
    asked.catch(() => {});
    answers.push(asked);
  }
  try {
    return await Promise.all(answers);
  } finally {
    agent.destroy();
  }
}

function answer(url: string, agent: Agent, work: number): Promise<string> {
  return new Promise((done, fail) => {
    const request = get(url, { agent, headers: { "x-work": work.toFixed(4) } }, (response) => {
      if (response.statusCode !== 200) fail(new Error(`${url} answered ${response.statusCode}`));
      text(response).then(done, fail);
    });
    request.on("error", fail);
  });
}
