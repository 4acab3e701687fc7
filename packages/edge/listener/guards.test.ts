/** What stands between listener and target: a limit on the body, changes to the answer's head, and news of the end. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { GuardedExchange } from "@tideway/base";
import { answer, type Client, eventually, get, post, Recording, type Rig, startRig, tick } from "./testing.ts";

interface Limited {
  readonly rig: Rig;
  readonly client: Client;
  readonly handler: Recording;
  /** How often the end was told. */
  ends(): number;
}

/** A listener whose guard allows 10 bytes of body, then hands the exchange to `target`. */
async function limited(
  context: TestContext,
  target: (exchange: GuardedExchange, handler: Recording) => void = (exchange, handler) => exchange.accept(handler),
): Promise<Limited> {
  const handler = new Recording();
  let ends = 0;
  const rig = await startRig(context, (exchange) => {
    exchange.whenOver(() => ends++);
    exchange.limitBody(10);
    target(exchange, handler);
  });
  return { rig, client: await rig.client(), handler, ends: () => ends };
}

const tooLarge = /^HTTP\/1\.[01] 413 [\s\S]*connection: close\r\n[\s\S]*larger than is allowed/;

test("a body of an allowed length passes whole", async (context) => {
  const { client, handler } = await limited(context, (exchange, recording) => {
    exchange.accept(recording);
    void recording.until(() => recording.ended).then(() => answer(exchange, "fine"));
  });
  client.say(post("x".repeat(10)));
  await client.hears("fine");
  assert.deepEqual([handler.bytes, handler.closed], [10, ""]);
});

test("a body that is announced too long is a 413 at once, and nobody asks for it", async (context) => {
  const { rig, client, handler, ends } = await limited(context);
  client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
  assert.match(await client.untilEnd(), tooLarge);
  assert.ok(!client.heard.includes("100 Continue"));
  assert.deepEqual(
    [handler.closed, handler.bytes, ends()],
    ["malformed", 0, 1],
    "the target is told from within accept",
  );
  const [record] = rig.records;
  assert.deepEqual([record!.status, record!.fault, record!.method], [413, "BODY_TOO_LARGE", "POST"]);
  const line = rig.log.find((entry) => entry.fields["code"] === "BODY_TOO_LARGE");
  assert.deepEqual([line?.fields["rule"], line?.fields["section"]], [21, "RFC 9110 §15.5.14"]);
  assert.equal(rig.listener.counters.refused, 1);
});

test("the client that sends on hears its 413, and no reset", async (context) => {
  const { client } = await limited(context);
  client.say(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n${"x".repeat(3_000_000)}`);
  assert.match(await client.untilEnd(), tooLarge);
  assert.equal(client.error, "");
});

test("chunks are counted as they come: over the limit it is a 413, and the target is told once", async (context) => {
  const { rig, client, handler, ends } = await limited(context);
  client.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n");
  await handler.until(() => handler.bytes === 6);
  client.say(`5\r\nghijk\r\n0\r\n\r\n${get("/next")}`);
  assert.match(await client.untilEnd(), tooLarge);
  assert.deepEqual([handler.closed, handler.body, handler.ended], ["malformed", "abcdef", false]);
  assert.equal(ends(), 1);
  assert.equal(rig.listener.counters.requests, 1, "what is pipelined behind it is not served");
  assert.equal(client.heard.split("HTTP/1.1").length, 2);
});

test("what is pipelined behind an announced body that is too long is not served", async (context) => {
  const { rig, client } = await limited(context, (exchange) => answer(exchange, "pong"));
  client.say(get() + post("x".repeat(11)) + get());
  const heard = await client.untilEnd();
  assert.deepEqual(heard.match(/HTTP\/1.1 \d+/g), ["HTTP/1.1 200", "HTTP/1.1 413"]);
  assert.equal(rig.listener.counters.requests, 2);
});

test("over the limit after the answer began is a reset: its end would look like the end of its body", async (context) => {
  const { rig, client, handler, ends } = await limited(context, (exchange, recording) => {
    exchange.accept(recording);
    exchange.respond(200, [], -1);
    exchange.write(Buffer.from("begun"));
  });
  client.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  await client.hears("begun");
  client.say("b\r\n12345678901\r\n");
  await client.untilClosed();
  assert.equal(client.error, "ECONNRESET");
  assert.deepEqual([handler.closed, ends()], ["malformed", 1]);
  assert.deepEqual([rig.records[0]!.status, rig.records[0]!.fault], [200, "BODY_TOO_LARGE"]);
});

test("an answer that was whole before the body grew too long stands", async (context) => {
  const { client, ends } = await limited(context, (exchange, recording) => {
    exchange.accept(recording);
    answer(exchange, "early");
  });
  client.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n");
  client.say(get());
  await client.hears(/early[\s\S]*HTTP\/1.1 200[\s\S]*early/);
  assert.equal(ends(), 2);
});

test("what guards want of the answer holds for a refusal of the listener's own; one that throws costs nobody the answer", async (context) => {
  let broken = false;
  const rig = await startRig(context, (exchange) => {
    exchange.append("access-control-allow-origin", "*");
    exchange.rewrite((status, fields) => {
      if (broken) throw new Error("a bad guard");
      return [...fields, "x-seen", String(status), "date", "a day", "connection", "keep-alive"];
    });
    exchange.limitBody(10);
    exchange.accept(new Recording());
  });
  const refused = await rig.client();
  refused.say(post("x".repeat(11)));
  const heard = await refused.untilEnd();
  assert.match(heard, tooLarge);
  assert.match(heard, /\r\nx-seen: 413\r\n[\s\S]*access-control-allow-origin: \*\r\n/);
  assert.deepEqual(heard.match(/^(?:date|connection): .*$/gim), ["date: a day", "connection: close"]);
  broken = true;
  const again = await rig.client();
  again.say(post("x".repeat(11)));
  assert.match(await again.untilEnd(), tooLarge);
});

test("HTTP/1.0 gets its 413 too", async (context) => {
  const { client } = await limited(context);
  client.say("POST / HTTP/1.0\r\nContent-Length: 11\r\n\r\n");
  assert.match(await client.untilEnd(), tooLarge);
});

test("of several limits the least holds", async (context) => {
  const { client } = await limited(context, (exchange, recording) => {
    exchange.limitBody(100);
    exchange.accept(recording);
  });
  client.say(post("x".repeat(11)));
  assert.match(await client.untilEnd(), tooLarge);
});

test("fields are changed in the order that was asked for, then added to; the listener's own stay its own", async (context) => {
  const seen: string[][] = [];
  const rig = await startRig(context, (exchange) => {
    exchange.append("ratelimit", '"a";r=1;t=1');
    exchange.rewrite((status, fields) => {
      seen.push([String(status), ...fields]);
      return [...fields, "x-first", "1", "connection", "keep-alive", "x-request-id", "mine"];
    });
    exchange.rewrite((_, fields) => [...fields.filter((each) => each !== "x-target" && each !== "t"), "x-second", "2"]);
    exchange.append("x-added", "3");
    answer(exchange, "pong", 404, ["x-target", "t"]);
  });
  const client = await rig.client();
  client.say(get("/", "Connection: close\r\n"));
  const heard = await client.untilEnd();
  assert.deepEqual(seen, [["404", "x-target", "t"]]);
  assert.match(heard, /x-first: 1\r\nx-second: 2\r\nratelimit: "a";r=1;t=1\r\nx-added: 3\r\n/);
  assert.ok(!heard.includes("x-target") && !heard.includes("mine") && !heard.includes("keep-alive"));
});

test("interim responses are not changed, a 101 is", async (context) => {
  const rig = await startRig(context, (exchange) => {
    exchange.append("x-added", "1");
    exchange.inform(103, ["link", "</a>"]);
    if (exchange.head.upgrade === "") answer(exchange, "pong");
    else exchange.upgrade([]).stream.destroy();
  });
  const client = await rig.client();
  client.say(get());
  const heard = await client.hears("pong");
  assert.ok(heard.indexOf("x-added") > heard.indexOf("HTTP/1.1 200"));
  const other = await rig.client();
  other.say(get("/", "Connection: Upgrade\r\nUpgrade: x\r\n"));
  assert.match(await other.untilClosed(), /HTTP\/1.1 101 [\s\S]*x-added: 1/);
});

test("a change that throws is a 500, wherever the target answers from", async (context) => {
  const rig = await startRig(context, (exchange) => {
    exchange.rewrite(() => {
      throw new Error("bad change");
    });
    setImmediate(() => exchange.respond(200, [], 0));
  });
  const client = await rig.client();
  client.say(get());
  assert.match(await client.untilEnd(), /^HTTP\/1.1 500 /);
  assert.equal(rig.log.filter((line) => line.message === "a target failed").length, 1);
});

/* ------------------------------------------------------------------ whenOver */

const endings: Readonly<
  Record<string, (rig: Rig, client: Client, exchange: () => GuardedExchange) => Promise<unknown>>
> = {
  "is answered": async (_, client, exchange) => {
    answer(exchange(), "pong");
    await client.hears("pong");
  },
  "is refused for its body": async (_, client) => {
    client.say("x\r\n");
    await client.untilEnd();
  },
  "is broken off by its target": async (_, client, exchange) => {
    exchange().abort();
    await client.untilClosed();
  },
  "is answered at another length than announced": async (_, client, exchange) => {
    exchange().respond(200, [], 1);
    exchange().end();
    await client.untilClosed();
  },
  "loses its client": async (_, client) => client.socket.destroy(),
  "loses its client's connection to a reset": async (_, client) => client.socket.resetAndDestroy(),
  "stalls in its body": async (rig, client) => {
    rig.clock.advance(11_000);
    await client.untilEnd();
  },
  "is broken off by a stopping server": async (rig, client) => {
    const closing = rig.listener.close({ graceMs: 100 });
    rig.clock.advance(200);
    await closing;
    await client.untilClosed();
  },
  "is refused for its length": async (_, client, exchange) => {
    exchange().limitBody(0);
    client.say("1\r\n1\r\n");
    await client.untilEnd();
  },
};

for (const [how, end] of Object.entries(endings)) {
  test(`the end is told once when an exchange ${how}`, async (context) => {
    let ends = 0;
    let others = 0;
    let exchange: GuardedExchange | undefined;
    const handler = new Recording();
    const rig = await startRig(context, (given) => {
      given.whenOver(() => ends++);
      given.whenOver(() => others++);
      given.accept(handler);
      exchange = given;
    });
    const client = await rig.client();
    client.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    await eventually(() => exchange !== undefined);
    for (let i = 0; i < 5; i++) await tick();
    assert.equal(ends, 0);
    await end(rig, client, () => exchange!);
    if (how === "is answered") client.say("0\r\n\r\n");
    await eventually(() => ends > 0);
    client.socket.destroy();
    await eventually(() => rig.listener.counters.connections === 0);
    assert.deepEqual([ends, others], [1, 1]);
    exchange!.whenOver(() => ends++);
    assert.equal(ends, 2, "who asks afterwards is told at once");
  });
}

test("the end is told once when a target throws, at once or later", async (context) => {
  for (const when of ["at once", "in onBody"]) {
    let ends = 0;
    const rig = await startRig(context, (exchange) => {
      exchange.whenOver(() => ends++);
      const handler = new Recording();
      handler.onBody = () => {
        throw new Error("later");
      };
      if (when === "at once") throw new Error("at once");
      exchange.accept(handler);
    });
    const client = await rig.client();
    client.say(post("body"));
    assert.match(await client.untilEnd(), /^HTTP\/1.1 500 /);
    assert.equal(ends, 1, when);
  }
});

test("the end of an upgraded connection is told when it has closed, not before", async (context) => {
  let ends = 0;
  const rig = await startRig(context, (exchange) => {
    exchange.whenOver(() => ends++);
    const { stream } = exchange.upgrade([]);
    stream.on("data", () => stream.destroy());
  });
  const client = await rig.client();
  client.say(get("/", "Connection: Upgrade\r\nUpgrade: x\r\n"));
  await client.hears("101");
  for (let i = 0; i < 20; i++) await tick();
  assert.equal(ends, 0);
  client.say("go");
  await client.untilClosed();
  await eventually(() => ends === 1);
});

test("who throws when the end is told keeps it from no other, and breaks nothing", async (context) => {
  let ends = 0;
  const rig = await startRig(context, (exchange) => {
    exchange.whenOver(() => {
      throw new Error("careless");
    });
    exchange.whenOver(() => ends++);
    answer(exchange, "pong");
  });
  const client = await rig.client();
  client.say(get() + get());
  await client.hears(/pong[\s\S]*pong/);
  assert.equal(ends, 2);
  assert.equal(rig.log.filter((line) => line.level === "error").length, 2);
});
