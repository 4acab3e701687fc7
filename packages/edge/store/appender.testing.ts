/** A program for the kill test: appends without end, and prints each sequence that was acknowledged. */
import { silentLogger } from "@tideway/base";
import type { NewEvent } from "@tideway/engine/hub";
import { openStreamStore } from "./index.ts";

const clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after: () => ({ cancel() {} }),
  defer: (run: () => void) => void setImmediate(run),
};
const directory = process.argv[2]!;
const store = await openStreamStore({ directory, clock, logger: silentLogger, onFatal: () => process.abort() });
let count = 0;

function appendNext(): void {
  const json = JSON.stringify([count++, "x".repeat(200)]);
  const event: NewEvent = { rooms: [], except: [], payload: { json, attachments: [] }, key: null };
  store.append("/", event, (result) => {
    if (result.ok) process.stdout.write(`${result.seq}\n`);
    appendNext();
  });
}

for (let i = 0; i < 64; i++) appendNext();
