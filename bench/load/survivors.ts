/** The process of clients that outlive servers: most of them raw, some of them stock; and the stock client that speaks to all. */
import { setTimeout as sleep } from "node:timers/promises";
import { io, type Socket } from "socket.io-client";
import { Survivor } from "./survivor.ts";
import { Witness } from "./witness.ts";

export type SurvivorsTask =
  | { readonly type: "open"; readonly port: number; readonly raw: number; readonly stock: number }
  /** Resolves when each client was told that a process holds it, after that time. */
  | { readonly type: "here"; readonly since: number }
  | { readonly type: "finish" };

export interface HereResult {
  /** When the first and the last of them were told; null when not all were in time. */
  readonly firstAt: number;
  readonly lastAt: number | null;
  readonly missing: number;
}

export interface SurvivorsResult {
  /** Numbers that were confirmed to the speaker, each one of which each client must have. */
  readonly said: number;
  /** Lines that were lost. */
  readonly dropped: number;
  /** Over all clients. */
  readonly lost: number;
  readonly repeated: number;
  readonly unrecovered: number;
  readonly slowestReturnMs: number;
}

const batch = 50;
const waitMs = 60_000;
const lookMs = 10;
const betweenMs = 200;

const witnesses: Witness[] = [];
const survivors: Survivor[] = [];
const stock: Socket[] = [];
let speaker: Socket | null = null;
let speaking = Promise.resolve();
let said = 0;
let stopped = false;

async function waitFor(what: () => boolean): Promise<boolean> {
  for (const end = Date.now() + waitMs; !what(); ) {
    if (Date.now() > end) return false;
    await sleep(lookMs);
  }
  return true;
}

function openStock(port: number): Witness {
  const witness = new Witness();
  const socket = io(`http://127.0.0.1:${port}`, { transports: ["websocket"], forceNew: true });
  let attemptAt = 0;
  let connected = false;
  socket.io.on("reconnect_attempt", () => {
    attemptAt = performance.now();
  });
  socket.on("connect", () => {
    if (connected) witness.returned(performance.now() - attemptAt, socket.recovered);
    connected = true;
  });
  socket.on("disconnect", () => {
    witness.dropped++;
  });
  socket.on("here", () => witness.here());
  socket.on("post", (text: string) => witness.post(Number(text)));
  stock.push(socket);
  return witness;
}

async function open(port: number, raw: number, stockCount: number): Promise<HereResult> {
  while (witnesses.length < raw + stockCount) {
    const opened: Witness[] = [];
    while (opened.length < batch && witnesses.length + opened.length < raw + stockCount) {
      if (witnesses.length + opened.length >= raw) {
        opened.push(openStock(port));
        continue;
      }
      const survivor = new Survivor(port, new Witness());
      survivors.push(survivor);
      opened.push(survivor.witness);
    }
    witnesses.push(...opened);
    if (!(await waitFor(() => opened.every(({ hereAt }) => hereAt > 0)))) break;
  }
  speaker = io(`http://127.0.0.1:${port}`, {
    transports: ["websocket"],
    query: { role: "speaker" },
    retries: Number.POSITIVE_INFINITY,
    ackTimeout: 5_000,
  });
  speaking = speak(speaker);
  return here(0);
}

/** One number after another, each once it was confirmed: the client says it again until then. */
async function speak(socket: Socket): Promise<void> {
  while (!stopped) {
    await socket.emitWithAck("say", String(said + 1));
    said++;
    await sleep(betweenMs);
  }
}

async function here(since: number): Promise<HereResult> {
  const missing = () => witnesses.filter(({ hereAt }) => hereAt <= since).length;
  const all = await waitFor(() => missing() === 0);
  const times = witnesses.map(({ hereAt }) => hereAt);
  return { firstAt: Math.min(...times), lastAt: all ? Math.max(...times) : null, missing: missing() };
}

/** Before the end some more is said, so that whoever missed something by the last interruption shows it. */
const lastWords = 5;

async function finish(): Promise<SurvivorsResult> {
  const goal = said + lastWords;
  await waitFor(() => said >= goal);
  stopped = true;
  await speaking;
  await waitFor(() => witnesses.every(({ last }) => last >= said));
  const sum = (of: (witness: Witness) => number) => witnesses.reduce((all, witness) => all + of(witness), 0);
  const result = {
    said,
    dropped: sum(({ dropped }) => dropped),
    lost: sum(({ skipped, last }) => skipped + said - last),
    repeated: sum(({ repeated }) => repeated),
    unrecovered: sum(({ unrecovered }) => unrecovered),
    slowestReturnMs: Math.max(...witnesses.map(({ slowestReturnMs }) => slowestReturnMs)),
  };
  for (const survivor of survivors) survivor.stop();
  for (const socket of stock) socket.disconnect();
  speaker?.disconnect();
  return result;
}

function run(task: SurvivorsTask): Promise<object> {
  if (task.type === "open") return open(task.port, task.raw, task.stock);
  return task.type === "here" ? here(task.since) : finish();
}

process.on("message", async (task: SurvivorsTask) => process.send?.(await run(task)));
process.once("disconnect", () => process.exit());
process.send?.({ ready: true });
