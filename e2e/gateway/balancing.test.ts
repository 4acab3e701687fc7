/** Issue 3, "Balancing": every policy as the configuration names it, sticky cookies, weights and drain at run time. */
import assert from "node:assert/strict";
import { before, describe, it, test } from "node:test";
import type { TidewayConfig } from "tideway";
import { type Asking, ask, type Gateway, gateway, Held, type Origin, origins, suite } from "./harness.ts";

/** How often each origin answered, in the order of their answers' first coming. */
function countsOf(ids: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const id of ids) counts[id] = (counts[id] ?? 0) + 1;
  return counts;
}

async function askOften(url: string, times: number, asking: (turn: number) => Asking = () => ({})): Promise<string[]> {
  const ids: string[] = [];
  for (let turn = 0; turn < times; turn++) ids.push((await ask(url, asking(turn))).echo.origin);
  return ids;
}

describe("policies", () => {
  const owner = suite();
  const names = ["round-robin", "weighted", "power-of-two", "fastest", "hash", "least-busy", "default"] as const;
  const hashes = { header: { header: "x-user" }, cookie: { cookie: "user" }, query: { query: "user" } } as const;
  const behind: Record<string, Origin[]> = {};
  const held: Record<string, Held> = {};
  let gate: Gateway;

  before(async () => {
    const services: NonNullable<TidewayConfig["services"]> = {};
    for (const name of [...names, ...Object.keys(hashes), "loaded"]) {
      const hold = new Held();
      held[name] = hold;
      const all = await origins(owner, 3, (incoming, answer) => {
        if (incoming.url?.includes("hold")) hold.handle(incoming, answer);
        else if (name === "fastest" && incoming.socket.localPort === behind[name]![0]!.port)
          // This one is slow: what the policy is to notice.
          setTimeout(() => answer.end(JSON.stringify({ origin: behind[name]![0]!.id })), 60);
        else answer.end(JSON.stringify({ origin: `127.0.0.1:${incoming.socket.localPort}` }));
      });
      behind[name] = all;
      const upstreams = all.map(({ url }, at) => (name === "weighted" ? { url, weight: at === 0 ? 2 : 1 } : url));
      const hash = hashes[name as keyof typeof hashes];
      services[name] = {
        upstreams,
        ...(name === "default" ? {} : name === "loaded" ? { balance: { hash: { header: "x-user" }, load: 1 } } : {}),
        ...(hash === undefined ? {} : { balance: { hash } }),
        ...(names.includes(name as "hash") && name !== "default" ? { balance: name as "hash" } : {}),
      };
    }
    const paths = Object.fromEntries(Object.keys(services).map((name) => [`/${name}`, name]));
    gate = await gateway(owner, { services, sites: { "*": paths }, log: { requests: false } });
    await gate.ready();
  });

  const at = (name: string) => `${gate.url()}/${name}`;
  const idsOf = (name: string) => behind[name]!.map(({ id }) => id);

  it("round-robin: everyone in turn", async () => {
    const ids = await askOften(at("round-robin"), 9);
    assert.deepEqual(countsOf(ids), Object.fromEntries(idsOf("round-robin").map((id) => [id, 3])));
    assert.deepEqual(ids.slice(0, 3), ids.slice(3, 6));
  });

  it("weighted: shares as weights say, well mixed", async () => {
    const [heavy, ...light] = idsOf("weighted");
    const ids = await askOften(at("weighted"), 12);
    assert.deepEqual(countsOf(ids), { [heavy!]: 6, [light[0]!]: 3, [light[1]!]: 3 });
  });

  for (const name of ["least-busy", "default", "power-of-two"]) {
    it(`${name}: whoever is busy gets nothing while others are idle`, async () => {
      const pending = [ask(`${at(name)}/hold`), ask(`${at(name)}/hold`)];
      await held[name]!.until(2);
      const busy = behind[name]!.filter(({ seen }) => seen.some(({ url }) => url?.includes("hold"))).map(
        ({ id }) => id,
      );
      const ids = new Set(await askOften(at(name), 12));
      held[name]!.release();
      await Promise.all(pending);
      // Two that chance names may be the two that are busy.
      if (name !== "power-of-two")
        assert.ok(
          busy.every((id) => !ids.has(id)),
          `${[...ids]} beside ${busy}`,
        );
      assert.ok(idsOf(name).some((id) => ids.has(id) && !busy.includes(id)));
    });
  }

  it("fastest: a slow instance gets little", async () => {
    const counts = countsOf(await askOften(at("fastest"), 30));
    const slow = counts[idsOf("fastest")[0]!] ?? 0;
    assert.ok(slow < 10, `the slow one got ${slow} of 30`);
  });

  const keys: [string, (user: string) => Asking, (user: string) => string][] = [
    ["hash", (user) => ({ from: `127.0.1.${user}` }), () => ""],
    ["header", (user) => ({ headers: { "x-user": user } }), () => ""],
    ["cookie", (user) => ({ headers: { cookie: `other=1; user=${user}` } }), () => ""],
    ["query", () => ({}), (user) => `?a=b&user=${user}`],
  ];
  for (const [name, asking, query] of keys) {
    it(`hash by ${name === "hash" ? "address" : name}: one key, one instance; many keys, all of them`, async () => {
      const users = Array.from({ length: 16 }, (_, at) => String(at + 1));
      // One after the other: many at once would be more than an instance's share, see below.
      const askAll = async () => {
        const ids: string[] = [];
        for (const user of users) ids.push((await ask(at(name) + query(user), asking(user))).echo.origin);
        return ids;
      };
      const ids = await askAll();
      assert.deepEqual(await askAll(), ids);
      assert.ok(new Set(ids).size > 1, "they are spread");
    });
  }

  it("hash with bounded load: over its share an instance passes its keys on", async () => {
    const asking = { headers: { "x-user": "one and the same" } };
    const pending = Array.from({ length: 6 }, () => ask(`${at("loaded")}/hold`, asking));
    await held["loaded"]!.until(6);
    const shares = behind["loaded"]!.map(({ seen }) => seen.length);
    held["loaded"]!.release();
    await Promise.all(pending);
    assert.ok(shares.filter((share) => share > 0).length > 1, `all went to one: ${shares}`);
  });
});

/** The cookie that an answer sets, as a client sends it back. */
function cookieOf(headers: Readonly<Record<string, string | string[] | undefined>>): string {
  const [cookie] = [headers["set-cookie"] ?? []].flat();
  return cookie?.split(";")[0] ?? "";
}

test("sticky: a signed cookie brings a client back, after a restart of Tideway too; forged ones count for nothing", async (t) => {
  const behind = await origins(t, 3);
  const upstreams = behind.map(({ url }) => url);
  const gate = await gateway(t, {
    services: {
      shop: { upstreams, balance: "round-robin", sticky: { cookie: "seat", ttlMs: 3_600_000, secure: true } },
      plain: { upstreams, balance: "round-robin", sticky: {} },
    },
    sites: { "*": { "/": "shop", "/plain": "plain" } },
  });
  await gate.ready();
  const first = await ask(gate.url());
  const cookie = cookieOf(first.headers);
  const said = String(first.headers["set-cookie"]);
  assert.match(said, /^seat=[^;]+; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure$/);
  assert.ok(!said.includes("127.0.0.1"), "a cookie tells nobody where instances are");
  assert.match(
    String((await ask(`${gate.url()}/plain`)).headers["set-cookie"]),
    /^tideway=[^;]+; Path=\/; HttpOnly; SameSite=Lax$/,
  );

  await gate.restart();
  await gate.ready();
  for (let turn = 0; turn < 6; turn++) {
    const back = await ask(gate.url(), { headers: { cookie } });
    assert.equal(back.echo.origin, first.echo.origin);
    assert.equal(back.headers["set-cookie"], undefined, "it need not be said again");
  }
  const forged = cookie.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
  const ids = await askOften(gate.url(), 6, () => ({ headers: { cookie: forged } }));
  assert.equal(new Set(ids).size, 3, "they go round");

  const { code, stderr } = await gate.command("instance", "--drain", "shop", first.echo.origin);
  assert.equal(code, 0, stderr);
  const moved = await ask(gate.url(), { headers: { cookie } });
  assert.notEqual(moved.echo.origin, first.echo.origin);
  assert.notEqual(cookieOf(moved.headers), "", "it has another place now");
});

test("weights and drain per instance at run time, by `tideway instance`", async (t) => {
  const held = new Held();
  const behind = await origins(t, 2, (incoming, answer) => {
    if (incoming.url === "/hold") held.handle(incoming, answer);
    else answer.end(JSON.stringify({ origin: `127.0.0.1:${incoming.socket.localPort}` }));
  });
  const [a, b] = behind as [Origin, Origin];
  const gate = await gateway(t, {
    services: { api: { upstreams: [a.url, b.url], balance: "weighted", requestsMax: 50 } },
    sites: { "*": { "/": "api" } },
  });
  await gate.ready();
  const adjust = async (...words: string[]) => {
    const { code, stdout, stderr } = await gate.command("instance", ...words);
    assert.equal(code, 0, stderr);
    return stdout;
  };

  assert.match(await adjust("api", a.id, "--weight", "3"), /has the weight 3/);
  assert.deepEqual(countsOf(await askOften(gate.url(), 8)), { [a.id]: 6, [b.id]: 2 });
  assert.equal((await gate.instance("api", a.id)).weight, 3);

  const pending = ask(`${gate.url()}/hold`);
  await held.until(1);
  const busy = a.seen.some(({ url }) => url === "/hold") ? a : b;
  const other = busy === a ? b : a;
  await adjust("api", busy.id, "--drain");
  assert.deepEqual(countsOf(await askOften(gate.url(), 4)), { [other.id]: 4 });
  const draining = await gate.instance("api", busy.id);
  assert.deepEqual([draining.state, draining.active], ["draining", 1]);
  held.release();
  assert.equal((await pending).text, "released", "what was under way there is answered");
  await adjust("api", busy.id, "--undrain");
  await gate.ready();
  assert.equal(new Set(await askOften(gate.url(), 8)).size, 2);

  const wrong = await gate.command("instance", "api", "127.0.0.1:1", "--drain");
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, new RegExp(`no such instance[\\s\\S]*${a.id} \\| ${b.id}`));
  const nothing = await gate.command("instance", "api", a.id);
  assert.match(nothing.stderr, /one of --weight, --drain and --undrain/);
});
