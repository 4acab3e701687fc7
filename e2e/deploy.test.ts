/** `tideway deploy` under steady requests and open sockets: every instance is replaced, and nobody notices. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ChatUnderLoad } from "./harness/chat.ts";
import { tideway } from "./harness/tideway.ts";

test("a deploy replaces every instance: no GET fails, no socket disconnects, events arrive once, in order", async (t) => {
  const chat = await ChatUnderLoad.start(t);
  const before = new Set((await chat.instances()).map((instance) => instance.pid));
  const { code, stdout, stderr } = await tideway(["deploy", "web", chat.tideway.configuration]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /web-3 \(process \d+\) is up\n[\s\S]*web-1 \(process \d+\) has ended\n[\s\S]*web is deployed: /);
  await chat.talk(300);
  await chat.assertUnnoticed();
  const after = await chat.instances();
  assert.equal(after.length, 2);
  assert.ok(
    after.every((instance) => instance.state === "up" && !before.has(instance.pid)),
    "all instances are new",
  );
});

test("what cannot be deployed is refused with the services that can", async (t) => {
  const chat = await ChatUnderLoad.start(t);
  const { code, stderr } = await tideway(["deploy", "live", chat.tideway.configuration]);
  assert.equal(code, 1);
  assert.match(stderr, /CONTROL_REFUSED[\s\S]*Name one of: web\./);
  await chat.assertUnnoticed();
});
