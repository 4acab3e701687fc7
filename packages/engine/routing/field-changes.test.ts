import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  compileFieldChanges,
  compileLocation,
  type FieldChanges,
  type MessageSide,
  type PlaceholderValues,
  placeholderValues,
  RouteFaultCode,
} from "./index.ts";

const values: PlaceholderValues = {
  host: "www.abc.test",
  path: "/a/b",
  query: "?c=1",
  method: "GET",
  scheme: "https",
  address: "2001:db8::1",
  port: 8443,
  id: "id-1",
  service: "web",
};

function changed(changes: FieldChanges, fields: string[], side: MessageSide = "request"): string[] {
  const compiled = compileFieldChanges(changes, side, ["p"]);
  assert.ok(compiled.ok, JSON.stringify(compiled));
  const before = [...fields];
  const after = compiled.apply(fields, compiled.fixed ? null : values);
  assert.deepEqual(fields, before, "the given list is left as it was");
  return after;
}

function faults(changes: FieldChanges, side: MessageSide = "request"): [string, string][] {
  const compiled = compileFieldChanges(changes, side, ["p"]);
  assert.ok(!compiled.ok, "faults were expected");
  for (const { seen, allowed, hint } of compiled.faults) assert.ok(seen !== "" && allowed !== "" && hint !== "");
  return compiled.faults.map(({ code, place }) => [code, place.join(" > ")]);
}

describe("changes to fields", () => {
  const fields = ["host", "a.test", "x-a", "1", "accept", "*/*", "x-a", "2"];

  it("set replaces every line of its name in the place of the first, or goes to the end", () => {
    assert.deepEqual(changed({ set: { "X-A": "new" } }, fields), ["host", "a.test", "x-a", "new", "accept", "*/*"]);
    assert.deepEqual(changed({ set: { "x-b": "new" } }, fields), [...fields, "x-b", "new"]);
    assert.deepEqual(changed({ set: { host: "b.test" } }, fields).slice(0, 2), ["host", "b.test"]);
    assert.deepEqual(changed({ set: { "x-a": "" } }, ["x-a", "1"]), ["x-a", ""]);
  });

  it("add is one more line, remove takes all of a name", () => {
    assert.deepEqual(changed({ add: { "x-a": "3" } }, fields), [...fields, "x-a", "3"]);
    assert.deepEqual(changed({ remove: ["X-A", "x-none"] }, fields), ["host", "a.test", "accept", "*/*"]);
    assert.deepEqual(changed({ remove: ["x-a"], add: { "x-a": "3" } }, fields).slice(-2), ["x-a", "3"]);
    assert.deepEqual(changed({ set: { "x-a": "2" }, add: { "x-a": "3" } }, ["x-a", "1"]), ["x-a", "2", "x-a", "3"]);
    assert.deepEqual(changed({}, fields), fields);
  });

  it("placeholders stand for what the request and its connection say; a brace is written twice", () => {
    const all = "{method} {scheme}://{host}:{port}{path}{query} {address} {id} {service}";
    assert.deepEqual(changed({ set: { x: all } }, []), [
      "x",
      "GET https://www.abc.test:8443/a/b?c=1 2001:db8::1 id-1 web",
    ]);
    assert.deepEqual(changed({ set: { x: '{{"max_age":{port}}}' } }, []), ["x", '{"max_age":8443}']);
    assert.deepEqual(changed({ set: { x: "{{host}}" } }, []), ["x", "{host}"]);
  });

  it("without a placeholder no values are needed, and that is said", () => {
    const compiled = (text: string) => compileFieldChanges({ add: { x: text } }, "response", []);
    assert.deepEqual(
      [compiled("a"), compiled("{id}")].map((each) => each.ok && each.fixed),
      [true, false],
    );
  });

  it("a value that could end the line is our own fault, and never written", () => {
    const compiled = compileFieldChanges({ set: { x: "{path}" } }, "request", []);
    assert.ok(compiled.ok);
    for (const path of ["/a\r\nx: y", "/\n", "/\0", "/\x7f"])
      assert.throws(() => compiled.apply([], { ...values, path }), /no control characters/);
  });

  it("mean what a plain reading of the rules means", () => {
    const name: fc.Arbitrary<string> = fc.constantFrom("x-a", "x-b", "x-c");
    const line = fc.tuple(name, fc.constantFrom<string>("1", "2"));
    const some = fc.dictionary(name, fc.constantFrom("s", "{id}"));
    fc.assert(
      fc.property(fc.array(line), some, some, fc.array(name), (lines, set, add, names) => {
        const remove = names.filter((each) => !(each in set));
        let expected = lines.filter(([each]) => !remove.includes(each));
        const text = (value: string) => (value === "{id}" ? values.id : value);
        for (const [each, value] of Object.entries(set)) {
          const first = expected.findIndex(([other]) => other === each);
          if (first === -1) expected.push([each, text(value)]);
          else expected[first] = [each, text(value)];
          expected = expected.filter(([other], index) => other !== each || first === -1 || index === first);
        }
        for (const [each, value] of Object.entries(add)) expected.push([each, text(value)]);
        assert.deepEqual(changed({ set, add, remove }, lines.flat()), expected.flat());
      }),
    );
  });
});

describe("faults of changes to fields", () => {
  it("names are tokens, each once, and none both set and removed", () => {
    for (const bad of ["", "a b", "a:", "ü", "a\r\n"])
      assert.deepEqual(faults({ set: { [bad]: "1" } }), [[RouteFaultCode.badFieldName, `p > set > ${bad}`]], bad);
    assert.deepEqual(faults({ remove: ["ok", ":path"] }), [[RouteFaultCode.badFieldName, "p > remove > 1"]]);
    assert.deepEqual(faults({ add: { "X-A": "1", "x-a": "2" } }), [[RouteFaultCode.duplicateField, "p > add > x-a"]]);
    assert.deepEqual(faults({ set: { a: "1" }, remove: ["A"] }), [[RouteFaultCode.duplicateField, "p > remove"]]);
  });

  it("framing, hop-by-hop fields and what Tideway writes itself are refused on their side, whatever the change", () => {
    const both =
      "connection Keep-Alive proxy-connection TE transfer-encoding upgrade trailer content-length http2-settings x-request-id";
    for (const name of both.split(" ")) {
      for (const side of ["request", "response"] as const) {
        assert.equal(faults({ set: { [name]: "1" } }, side)[0]?.[0], RouteFaultCode.reservedField, name);
        assert.equal(faults({ add: { [name]: "1" } }, side)[0]?.[0], RouteFaultCode.reservedField, name);
        assert.equal(faults({ remove: [name] }, side)[0]?.[0], RouteFaultCode.reservedField, name);
      }
    }
    for (const name of ["expect", "forwarded", "x-forwarded-for", "X-Forwarded-Proto", "x-forwarded-host"]) {
      assert.equal(faults({ set: { [name]: "1" } })[0]?.[0], RouteFaultCode.reservedField, name);
      assert.deepEqual(changed({ remove: [name] }, [], "response"), []);
    }
    assert.equal(faults({ set: { date: "x" } }, "response")[0]?.[0], RouteFaultCode.reservedField);
    assert.equal(faults({ add: { host: "x" } })[0]?.[0], RouteFaultCode.reservedField);
    assert.equal(faults({ remove: ["host"] })[0]?.[0], RouteFaultCode.reservedField);
  });

  it("values are one line of printable ASCII with known placeholders", () => {
    for (const bad of ["a\r\nb: c", "a\nb", "\0", " a", "a\t", "ü"])
      assert.equal(faults({ set: { x: bad } })[0]?.[0], RouteFaultCode.badFieldValue, bad);
    for (const bad of ["{nope}", "{}", "{Host}", "{ host }", "a{__proto__}b"])
      assert.equal(faults({ set: { x: bad } })[0]?.[0], RouteFaultCode.unknownPlaceholder, bad);
    for (const bad of ["{", "}", "a{b", "{host", "{{host}", "host}"])
      assert.equal(faults({ set: { x: bad } })[0]?.[0], RouteFaultCode.badTemplate, bad);
  });

  it("every fault is reported, not only the first", () => {
    assert.equal(faults({ set: { connection: "{x}", te: "\n" }, add: { ok: "1" }, remove: ["upgrade"] }).length, 5);
  });
});

describe("the location of a redirect", () => {
  function location(source: string, more: Partial<PlaceholderValues> = {}): string {
    const compiled = compileLocation(source, ["redirect"]);
    assert.ok(compiled.ok, JSON.stringify(compiled));
    return compiled.fill({ ...values, ...more });
  }

  for (const [source, expected] of [
    ["https://new.test/", "https://new.test/"],
    ["https://{host}{path}{query}", "https://www.abc.test/a/b?c=1"],
    ["https://new.test{path}", "https://new.test/a/b?c=1"],
    ["{path}/", "/a/b?c=1/"],
    ["https://{host}:{port}/login?from={path}", "https://www.abc.test:8443/login?from=/a/b?c=1"],
    ["/new{query}", "/new?c=1"],
  ] as const) {
    it(`${source} leads to ${expected}`, () => assert.equal(location(source), expected));
  }

  it("that begins with the path never leads to another host", () => {
    for (const path of ["//else.test/x", "/\\else.test/x", "///else.test/x"])
      assert.equal(location("{path}{query}", { path }), "/else.test/x?c=1");
    assert.equal(location("{path}", { path: "*", query: "" }), "*");
  });

  it("is refused when it is no address or has a placeholder that is none", () => {
    for (const bad of ["", "a b", "https://ü.test/", "{nope}", "{", "\r\n"]) {
      const compiled = compileLocation(bad, ["redirect"]);
      assert.ok(!compiled.ok, bad);
      assert.deepEqual(compiled.faults[0]?.place, ["redirect"]);
    }
  });
});

it("an exchange says what placeholders stand for", () => {
  const head = {
    method: "GET",
    path: "/",
    query: "",
    host: "a.test",
    authority: "a.test",
    version: 11,
    fields: [],
    bodyLength: 0,
    upgrade: "",
  };
  const client = { address: "192.0.2.1", port: 5, localPort: 80, secure: false };
  assert.deepEqual(placeholderValues({ id: "i", head, client }, "web"), {
    host: "a.test",
    path: "/",
    query: "",
    method: "GET",
    scheme: "http",
    address: "192.0.2.1",
    port: 80,
    id: "i",
    service: "web",
  });
});
