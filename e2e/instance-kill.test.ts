/**
 * `kill -9` of an application instance under steady requests and open sockets: nobody notices. How soon the next one serves is
 * told, not judged: most of it is the start of a process, and of the command that asks, on whatever machine this is.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ChatUnderLoad } from "./harness/chat.ts";
import { until } from "./harness/tideway.ts";

test("an instance killed with -9: no GET fails, no socket disconnects, a new instance serves, events arrive once, in order", async (t) => {
  const chat = await ChatUnderLoad.start(t);
  const [victim, other] = await chat.instances();
  process.kill(victim!.pid!, "SIGKILL");
  const killedAt = performance.now();
  const isBack = async () => {
    const now = await chat.instances();
    return now.every((i) => i.pid !== victim!.pid) && now.filter((i) => i.state === "up").length === 2;
  };
  await until("two instances to be up again", isBack, 30_000);
  const recoveredMs = performance.now() - killedAt;
  await chat.talk(500);
  await chat.assertUnnoticed();
  t.diagnostic(`two instances were in service again after ${Math.round(recoveredMs)} ms`);
  assert.ok(
    (await chat.instances()).some((i) => i.pid === other!.pid),
    "the other instance was left alone",
  );
});
