import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { bare, echoing } from "./echo.ts";
import { Crowd, numbered } from "./load/crowd.ts";
import { openRoom } from "./load/room.ts";

const clients = 20;
const bytes = 100;

for (const kind of echoing) {
  suite(`the echo load, small: ${kind.name}`, () => {
    test("every question is answered once, with its own text, in order", async () => {
      await using endings = new AsyncDisposableStack();
      const { program, port, protocol } = await kind.start("any");
      endings.defer(() => program.stop());
      const crowd = await Crowd.open({ port, protocol, clients, keeps: true });
      endings.defer(() => crowd.close());
      const texts = Array.from({ length: 5 }, (_, index) => numbered(index, bytes));
      await crowd.ask(texts, 30);
      const answers = texts.map((text, id) => `43${id}${JSON.stringify([text])}`);
      let deliveries = 0;
      for (const client of crowd.clients) {
        assert.ok(client.texts.length > 0);
        assert.equal(client.texts.length % texts.length, 0);
        for (const [at, text] of client.texts.entries()) assert.equal(text, answers[at % texts.length]);
        deliveries += client.texts.length;
      }
      assert.equal(crowd.deliveries, deliveries);
    });
  });
}

for (const kind of [...echoing, bare]) {
  test(`the load's process asks ${kind.name} again, and counts answers and its CPU time`, async () => {
    await using room = await openRoom(kind, clients, "any");
    for (const inFlight of [1, 4]) {
      const result = await room.echo(inFlight, bytes, 60);
      assert.ok(result.deliveries > clients * inFlight);
      assert.equal(result.deliveries % inFlight, 0);
      assert.ok(result.cpuMs >= 0);
    }
  });
}
