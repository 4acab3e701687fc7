/**
 * `npm run bench -- balance`: what the balancing policies are worth. Two instances, one four times slower, behind a whole
 * Tideway; the same arrivals of the same work for each policy. Prints a table, and draws `docs/balancing.png`.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { SeededRandom } from "@tideway/base/testing";
import { type Arrival, poisson, send } from "./load/arrivals.ts";
import { startTideway, temporaryFolder } from "./measure/contenders.ts";
import { type Figure, type Line, svgOf, writePng } from "./measure/figure.ts";
import { Script } from "./measure/processes.ts";
import { aligned } from "./measure/table.ts";

const policies = ["round-robin", "power-of-two", "least-busy", "fastest"] as const;
export type Policy = (typeof policies)[number];

/** Each with four workers: the fast one can do 400 requests a second, the slow one 100. */
const instances = [
  { name: "fast", meanMs: 10, workers: 4 },
  { name: "slow", meanMs: 40, workers: 4 },
] as const;

export interface BalanceOptions {
  readonly perSecond: number;
  readonly seconds: number;
  /** Answers to what came earlier do not count: programs warm up, and `fastest` has measured nothing yet. */
  readonly warmUpSeconds: number;
  readonly rounds: number;
  /** All that is up to chance: arrivals and work. */
  readonly seed: number;
  readonly core: "server" | "any";
}

export interface PolicyResult {
  readonly policy: Policy;
  /** Of all rounds, in ascending order. */
  readonly latencies: readonly number[];
  /** Requests by the instance that answered. */
  readonly answered: ReadonlyMap<string, number>;
}

function configuration(ports: readonly number[]): string {
  const upstreams = JSON.stringify(ports.map((port) => `http://127.0.0.1:${port}`));
  const services = policies.map(
    (policy) => `"${policy}": { balance: "${policy}", upstreams: ${upstreams}, health: { kind: "tcp" } },`,
  );
  const sites = policies.map((policy) => `"/${policy}": "${policy}",`);
  return `export default {
  listen: [{ port: 0 }], console: false, log: { level: "warn", requests: false }, trace: { create: false },
  services: { ${services.join("\n")} },
  sites: { "*": { ${sites.join(" ")} } },
};\n`;
}

export async function compare(options: BalanceOptions, tell: (text: string) => void): Promise<PolicyResult[]> {
  await using endings = new AsyncDisposableStack();
  const ports: number[] = [];
  for (const { name, meanMs, workers } of instances) {
    const url = new URL("./servers/queueing.ts", import.meta.url);
    const args = [name, String(meanMs), String(workers)];
    const core = options.core === "any" ? "any" : "load";
    const { script, ready } = await Script.start<{ port: number }>(core, url, args);
    endings.defer(() => script.stop());
    ports.push(ready.port);
  }
  const tideway = await startTideway(temporaryFolder(), configuration(ports), { core: options.core });
  endings.defer(() => tideway.program.stop());
  const results = policies.map((policy) => ({
    policy,
    latencies: [] as number[],
    answered: new Map<string, number>(),
  }));
  for (let round = 0; round < options.rounds; round++) {
    const arrivals = poisson(new SeededRandom(options.seed + round), options.perSecond, options.seconds);
    for (const result of results) {
      await runOne(`http://127.0.0.1:${tideway.port}/${result.policy}`, arrivals, options.warmUpSeconds * 1000, result);
      tell(`round ${round + 1} of ${options.rounds}: ${result.policy}\n`);
    }
  }
  for (const { latencies } of results) latencies.sort((a, b) => a - b);
  return results;
}

async function runOne(
  url: string,
  arrivals: readonly Arrival[],
  warmUpMs: number,
  { latencies, answered }: { latencies: number[]; answered: Map<string, number> },
): Promise<void> {
  for (const { at, latencyMs, body } of await send(url, arrivals)) {
    if (at < warmUpMs) continue;
    latencies.push(latencyMs);
    answered.set(body, (answered.get(body) ?? 0) + 1);
  }
}

/** The latency that a share `q` of the requests did not exceed. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

const looks: Readonly<Record<Policy, Pick<Line, "color" | "dashes">>> = {
  "round-robin": { color: "#d55e00", dashes: "" },
  "power-of-two": { color: "#8250a8", dashes: "3 4" },
  "least-busy": { color: "#0072b2", dashes: "10 4" },
  fastest: { color: "#00875a", dashes: "" },
};
/** Where a curve has its points: evenly on an axis on which each further nine is as wide as the one before. */
const curveSteps = 120;
const nines = 3;
/** What the fastest tenth took is not what a figure is looked at for: the axis begins there. */
const lowestShare = 0.1;

export function figureOf(results: readonly PolicyResult[], perSecond: number): Figure {
  const shares = Array.from({ length: curveSteps + 1 }, (_, step) => 1 - 10 ** ((-step / curveSteps) * nines));
  const highest = Math.max(...results.map(({ latencies }) => quantile(latencies, shares.at(-1)!)));
  const lowest = Math.min(...results.map(({ latencies }) => quantile(latencies, lowestShare)));
  const ticks = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
  const top = ticks.find((tick) => tick >= highest) ?? highest;
  const bottom = ticks.findLast((tick) => tick <= lowest) ?? lowest;
  return {
    title: "Two instances, one four times slower: how long requests take",
    subtitle: `Mean ${instances.map(({ meanMs }) => meanMs).join(" and ")} ms, four workers each; ${perSecond} requests/s arrive at random, the same for each policy`,
    x: {
      title: "share of the requests that took at most so long (%)",
      ticks: [0, 50, 90, 99, 99.9].map((at) => ({ at: at / 100, label: String(at) })),
      scale: (share) => -Math.log10(1 - share),
    },
    y: {
      title: "latency (ms, logarithmic)",
      ticks: ticks
        .filter((tick) => tick >= bottom && tick <= top)
        .map((at) => ({ at, label: at.toLocaleString("en-US") })),
      scale: Math.log10,
    },
    lines: results.map(({ policy, latencies }) => ({
      name: policy,
      note: `p99 ${Math.round(quantile(latencies, 0.99))} ms`,
      ...looks[policy],
      points: shares
        .map((share) => [share, quantile(latencies, share)] as const)
        .filter(([, latency]) => latency >= bottom),
    })),
  };
}

/** One row per policy, with its p99 divided by that of round-robin. */
export function tableOf(results: readonly PolicyResult[]): string {
  const first = quantile(results[0]!.latencies, 0.99);
  const rows = results.map(({ policy, latencies, answered }) => {
    const share = (100 * (answered.get(instances[0].name) ?? 0)) / latencies.length;
    const figures = [0.5, 0.9, 0.99].map((q) => quantile(latencies, q).toFixed(1));
    return [policy, ...figures, (quantile(latencies, 0.99) / first).toFixed(2), `${share.toFixed(0)} %`];
  });
  const head = ["", "p50 ms", "p90 ms", "p99 ms", "÷ round-robin", "to the fast one"];
  return aligned([head, ...rows]);
}

export async function balance(): Promise<string> {
  const options = { perSecond: 180, seconds: 16, warmUpSeconds: 1, rounds: 3, seed: 1, core: "server" } as const;
  const results = await compare(options, (text) => process.stderr.write(text));
  const png = fileURLToPath(new URL("../docs/balancing.png", import.meta.url));
  const svg = svgOf(figureOf(results, options.perSecond));
  const isDrawn = await writePng(svg, png);
  const file = isDrawn ? png : png.replace(/png$/, "svg");
  if (!isDrawn) writeFileSync(file, svg);
  return [
    `two instances of ${instances.map(({ meanMs }) => meanMs).join(" and ")} ms, ${options.perSecond} requests/s, ${options.rounds} rounds of ${options.seconds} s`,
    tableOf(results),
    isDrawn ? `drawn as ${file}` : `Chromium is not installed, so the figure is an SVG: ${file}`,
  ].join("\n");
}
