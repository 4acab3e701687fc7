import assert from "node:assert/strict";
import { test } from "node:test";
import { outbox, type Publisher } from "@tideway/realtime/outbox";
import { type Post, TIMELINE } from "../contract.ts";
import { executorOf, openDatabase } from "./database.ts";
import { migrate } from "./migrations.ts";
import { type Announcer, Posts } from "./posts.ts";

/** A hub as the relays see it: knows keys, publishes each once, and loses some receipts on the way. */
class KeyedHub implements Publisher {
  readonly published: string[] = [];
  readonly #keys = new Set<string>();
  #calls = 0;
  #wake = () => {};

  of() {
    return {
      to: (rooms: string[]) => ({
        idempotencyKey: (key: string) => ({
          publish: async (event: string, ...args: unknown[]) => {
            assert.deepEqual(rooms, [TIMELINE]);
            await new Promise((resolve) => setImmediate(resolve));
            if (!this.#keys.has(key)) {
              this.#keys.add(key);
              const post = args[0] as Post;
              this.published.push(`${event} ${post.id}.${post.version}`);
              this.#wake();
            }
            if (++this.#calls % 7 === 0) throw new Error("the receipt was lost");
          },
        }),
      }),
    };
  }

  async reached(count: number): Promise<void> {
    while (this.published.length < count) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

test("with two relays at work and receipts lost, each change is published once, in the order of the commits", async (t) => {
  const db = openDatabase(":memory:");
  t.after(() => db.destroy());
  const hub = new KeyedHub();
  const box = outbox({ dialect: "sqlite" });
  await migrate(db, (executor) => box.migrate(executor));
  await db.insertInto("accounts").values({ name: "ada", name_key: "ada", password: "x", created_at: 0 }).execute();
  const announcer: Announcer = {
    add: (executor, event, args) => box.add(executor, { room: TIMELINE, event, args }),
    wake: () => box.wake(),
  };
  const posts = new Posts(db, announcer, () => 0);
  const ada = { id: "1", name: "ada" };
  const relays = [1, 2].map(() => box.relay(hub, executorOf(db)));

  const right: string[] = [];
  for (let id = 1; id <= 10; id++) {
    const { post } = await posts.create(ada, "one", null);
    await posts.edit(ada, post.id, "two", 1);
    await posts.delete(ada, post.id);
    right.push(`post:created ${id}.1`, `post:changed ${id}.2`, `post:deleted ${id}.3`);
  }
  await hub.reached(right.length);
  for (const relay of relays) await relay.close();
  assert.deepEqual(hub.published, right);
});
