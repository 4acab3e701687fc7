import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { requires } from "@tideway/scripts/requires";
import { Crowd, numbered } from "./load/crowd.ts";
import { openRoom } from "./load/room.ts";
import { nchanModule } from "./peers/nchan.ts";
import { durable, nchan, type PlaceKind, servers } from "./realtime-servers.ts";

const clients = 20;
const bytes = 100;

function small(name: string, kind: PlaceKind | null, skip: string | false = false): void {
  suite(`the fan-out load, small: ${name}`, { skip }, () => {
    test("every client receives every message once, whole and in order, for any number in flight", async () => {
      await using endings = new AsyncDisposableStack();
      const { program, port, protocol } = await kind!.start("any");
      endings.defer(() => program.stop());
      const crowd = await Crowd.open({ port, protocol, clients, keeps: true });
      endings.defer(() => crowd.close());
      const random = new SeededRandom(11);
      const said: string[] = [];
      for (let batch = 0; batch < 10; batch++) {
        const inFlight = 1 + Math.floor(random.fraction() * 16);
        const texts = Array.from({ length: inFlight }, (_, index) => numbered(said.length + index, bytes));
        said.push(...texts);
        await crowd.say(texts);
      }
      // Where events are kept, each brings its offset as one argument more.
      const textOf = (packet: string) =>
        protocol === "socket.io" ? (JSON.parse(packet.slice(2)) as string[])[1] : packet;
      for (const client of crowd.clients) assert.deepEqual(client.texts.map(textOf), said);
      assert.equal(crowd.deliveries, said.length * clients);
    });

    test("the load's process counts whole batches only, and the server's CPU time", async () => {
      await using room = await openRoom(kind!, clients, "any");
      for (const inFlight of [1, 4]) {
        const result = await room.fanout(inFlight, bytes, 60);
        assert.ok(result.deliveries > 0);
        assert.equal(result.deliveries % (clients * inFlight), 0);
        assert.ok(result.elapsedMs >= 60);
        assert.ok(result.cpuMs >= 0);
      }
    });
  });
}

for (const kind of [...servers, durable("memory"), durable("disk")]) small(kind.name, kind);
small("nchan", nchan, requires("nginx", nchanModule));
