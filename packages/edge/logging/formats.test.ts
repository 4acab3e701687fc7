import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { remoteUser } from "./combined.ts";
import { type AccessLogFormat, type AccessRecord, createAccessLog } from "./index.ts";

const ended = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

const plain: AccessRecord = {
  id: "a-1",
  at: ended - 1.26,
  peer: "192.0.2.7",
  trace: "",
  reason: "",
  address: "192.0.2.7",
  method: "GET",
  host: "www.abc.test",
  path: "/db/x",
  version: 11,
  status: 200,
  bytesIn: 0,
  bytesOut: 1234,
  durationMs: 1.26,
  service: "api",
  instance: "127.0.0.1:3001",
  route: "www.abc.test/db",
  fault: "",
  headMs: 1.11,
  head: {
    query: "?key=secret",
    fields: ["host", "www.abc.test", "user-agent", "curl/8", "referer", "http://www.abc.test/?token=t"],
  },
};

const refused: AccessRecord = {
  id: "a-2",
  address: "192.0.2.7",
  method: "",
  host: "",
  path: "",
  status: 400,
  bytesIn: 0,
  bytesOut: 0,
  durationMs: 0,
  service: "",
  instance: "",
  fault: "BARE_LF",
  at: ended,
  headMs: -1,
  peer: "192.0.2.7",
  version: 0,
  route: "",
  trace: "",
  reason: "",
  head: null,
};

const withFields = (...fields: string[]): AccessRecord => ({ ...plain, head: { query: "", fields } });

function lineOf(record: AccessRecord, format: AccessLogFormat, queries = false): string {
  let line = "";
  const log = createAccessLog({
    format,
    queries,
    sectionOf: (fault) => (fault === "BARE_LF" ? "RFC 9112 §2.2" : ""),
    write: (written) => {
      line += written;
    },
  });
  log(record);
  return line;
}

const parsed = (record: AccessRecord, queries = false) => JSON.parse(lineOf(record, "json", queries)) as object;

suite("JSON", () => {
  test("has the names of the rest of the log, what was asked, what was answered, and who answered; no query", () => {
    assert.deepEqual(parsed(plain), {
      level: "info",
      time: "2026-01-02T03:04:05.678Z",
      pid: process.pid,
      name: "tideway",
      id: "a-1",
      address: "192.0.2.7",
      method: "GET",
      host: "www.abc.test",
      path: "/db/x",
      version: "1.1",
      status: 200,
      in: 0,
      out: 1234,
      ms: 1.3,
      headMs: 1.1,
      route: "www.abc.test/db",
      service: "api",
      instance: "127.0.0.1:3001",
      referer: "http://www.abc.test/",
      agent: "curl/8",
      msg: "request",
    });
  });

  test("shows queries when asked to", () => {
    const { query, referer } = parsed(plain, true) as { query: string; referer: string };
    assert.deepEqual({ query, referer }, { query: "?key=secret", referer: "http://www.abc.test/?token=t" });
  });

  test("says of a rejection which rule was broken, and where it stands", () => {
    const { rule, section, status, msg } = parsed(refused) as Record<string, unknown>;
    assert.deepEqual(
      { rule, section, status, msg },
      { rule: "BARE_LF", section: "RFC 9112 §2.2", status: 400, msg: "request refused" },
    );
  });

  test("shows a field that is UTF-8 as what it says, and another byte by byte", () => {
    const agent = (text: Buffer) => parsed(withFields("user-agent", text.toString("latin1")));
    assert.equal((agent(Buffer.from("Größe")) as { agent: string }).agent, "Größe");
    assert.equal((agent(Buffer.from([0x61, 0xff])) as { agent: string }).agent, "a\u00ff");
  });

  test("is one line of ASCII that parses to what went in, whatever a client sends", () => {
    const any = fc.string({ unit: "binary" });
    const bytes = fc.uint8Array().map((each) => Buffer.from(each).toString("latin1"));
    const record = fc.record({
      id: any,
      at: fc.double({ min: 0, max: 2e12, noNaN: true }),
      address: any,
      peer: any,
      trace: any,
      method: any,
      host: any,
      path: any,
      version: fc.constantFrom(0, 10, 11, 20),
      status: fc.nat(999),
      bytesIn: fc.nat(),
      bytesOut: fc.nat(),
      durationMs: fc.double({ min: 0, max: 1e7, noNaN: true }),
      service: any,
      instance: any,
      route: any,
      fault: any,
      reason: any,
      headMs: fc.constantFrom(-1, 0, 0.25, 12),
      head: fc.record({ query: any, fields: bytes.map((value) => ["referer", value, "user-agent", value]) }),
    });
    fc.assert(
      fc.property(record, fc.boolean(), (given, queries) => {
        const line = lineOf(given, "json", queries);
        assert.match(line, /^[ -~]+\n$/);
        const read = JSON.parse(line) as Record<string, unknown>;
        for (const key of ["id", "address", "method", "host", "path", "status"] as const)
          assert.equal(read[key], given[key]);
        for (const key of ["service", "instance", "route", "reason", "trace"] as const)
          assert.equal(read[key] ?? "", given[key]);
        assert.equal(read["rule"] ?? "", given.fault);
        assert.equal(read["peer"] ?? given.address, given.peer);
        assert.ok(Math.abs(Date.parse(read["time"] as string) - given.at - given.durationMs) <= 1);
        assert.ok(Math.abs((read["ms"] as number) - given.durationMs) <= 0.0501);
      }),
    );
  });
});

suite("Combined", () => {
  // The machine's zone is the test's business too: both say what they are.
  const local = new Date(Date.UTC(2026, 0, 2, 3, 4, 5));
  const two = (value: number) => String(value).padStart(2, "0");
  const east = -local.getTimezoneOffset();
  const zone = `${east < 0 ? "-" : "+"}${two(Math.trunc(Math.abs(east) / 60))}${two(Math.abs(east) % 60)}`;
  const day = `${two(local.getDate())}/Jan/2026`;
  const time = `${day}:${two(local.getHours())}:${two(local.getMinutes())}:05 ${zone}`;

  test("is the line that everybody's tools read; without queries unless asked for", () => {
    const rest = `200 1234 "http://www.abc.test/" "curl/8"\n`;
    assert.equal(lineOf(plain, "combined"), `192.0.2.7 - - [${time}] "GET /db/x HTTP/1.1" ${rest}`);
    assert.equal(
      lineOf(plain, "combined", true),
      `192.0.2.7 - - [${time}] "GET /db/x?key=secret HTTP/1.1" 200 1234 "http://www.abc.test/?token=t" "curl/8"\n`,
    );
  });

  test("has - for what was not sent, and nothing for what was sent empty", () => {
    assert.match(lineOf(withFields(), "combined"), / "-" "-"\n$/);
    assert.match(lineOf(withFields("user-agent", "", "referer", ""), "combined"), / "" ""\n$/);
  });

  test("has a refused request as answered, with - for its line", () => {
    assert.equal(lineOf(refused, "combined"), `192.0.2.7 - - [${time}] "-" 400 0 "-" "-"\n`);
    assert.match(lineOf({ ...plain, status: 0 }, "combined"), /HTTP\/1\.1" 000 /);
  });

  test("names who gave Basic credentials, and nobody for anything else", () => {
    const given = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
    assert.equal(remoteUser(given("ann:secret")), "ann");
    assert.equal(remoteUser(given("ann:a:b")), "ann");
    for (const none of [undefined, "", "Basic", given("ann"), given(":secret"), "Bearer YW5uOg==", "Basic %%%"]) {
      assert.equal(remoteUser(none), undefined);
    }
    const line = lineOf(withFields("authorization", given("ann:secret")), "combined");
    assert.match(line, /^192\.0\.2\.7 - ann \[/);
    assert.doesNotMatch(line, /secret/);
  });

  test("is one line with six quotes, whatever a client sends", () => {
    const bytes = fc.uint8Array().map((each) => Buffer.from(each).toString("latin1"));
    fc.assert(
      fc.property(bytes, bytes, bytes, (path, agent, referer) => {
        const line = lineOf({ ...withFields("user-agent", agent, "referer", referer), path }, "combined", true);
        assert.match(line, /^[ -~]+\n$/);
        const undone = (text: string) =>
          text.replace(/\\x([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
        const parts = line.split('"');
        assert.equal(parts.length, 7);
        assert.deepEqual([parts[1]!, parts[3]!, parts[5]!].map(undone), [`GET ${path} HTTP/1.1`, referer, agent]);
      }),
    );
  });
});
