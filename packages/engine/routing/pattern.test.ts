import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compilePattern, patternStepsMax, patternValueMax } from "./pattern.ts";

function matches(source: string, value: string): boolean {
  const compiled = compilePattern(source);
  assert.ok(compiled.ok, `${source}: ${JSON.stringify(compiled)}`);
  return compiled.pattern.test(value);
}

describe("patterns", () => {
  for (const [source, yes, no] of [
    ["", ["", "a"], []],
    ["beta", ["beta", "x beta y"], ["bet", "BETA"]],
    ["^beta$", ["beta"], ["beta ", "xbeta", "betabeta"]],
    ["(?:^|; )flag=(?:on|1)(?:;|$)", ["flag=on", "a=b; flag=1; c=d"], ["xflag=on", "flag=onx", "flag=off"]],
    ["^[A-Fa-f0-9]{2,4}$", ["ab", "aBc9"], ["a", "abcde", "xy"]],
    ["^v[^.]+\\.\\d$", ["v1.2", "vvv.0"], ["v.2", "v1.x"]],
    ["\\bchat\\b", ["chat", "a chat!"], ["chats", "chatt"]],
    ["^(a|b|)c*?$", ["", "a", "bcc"], ["ab"]],
    ["[-\\]]$", ["-", "]"], ["[", ""]],
    ["^[^]$", ["x", "\n"], ["", "xx"]],
    ["[]", [], ["", "a"]],
    ["^\\x41\\u0042\\t\\/$", ["AB\t/"], ["AB"]],
    ["^a{0}b{2}c{1,}$", ["bbc", "bbcc"], ["abbc", "bb"]],
  ] as const) {
    it(`/${source}/ occurs in ${JSON.stringify(yes)}, not in ${JSON.stringify(no)}`, () => {
      for (const value of yes) assert.equal(matches(source, value), true, value);
      for (const value of no) assert.equal(matches(source, value), false, value);
    });
  }

  it("agree with JavaScript's own engine on whatever they take", () => {
    const atom = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom("a", "b", "c", " ", ".", "\\d", "\\W", "\\s", "\\.", "1") },
      { weight: 2, arbitrary: fc.constantFrom("[ab]", "[^a]", "[a-c1]", "[\\w-]", "[^\\s]", "[]", "[^]") },
      { weight: 2, arbitrary: fc.constantFrom("^", "$", "\\b", "\\B") },
    );
    const { pattern } = fc.letrec<{ pattern: string; part: string }>((tie) => ({
      part: fc.oneof(
        { maxDepth: 3 },
        atom,
        fc
          .tuple(tie("pattern"), fc.constantFrom("*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", ""))
          .map(([inner, times]) => `(${inner})${times}`),
        fc.tuple(fc.constantFrom("a", ".", "[ab]"), fc.constantFrom("*", "+", "?", "{3}")).map(([x, y]) => x + y),
      ),
      pattern: fc
        .array(fc.array(tie("part"), { maxLength: 3 }), { minLength: 1, maxLength: 3 })
        .map((choices) => choices.map((parts) => parts.join("")).join("|")),
    }));
    const text = fc.array(fc.constantFrom("a", "b", "c", " ", "1", ".", "-", "\n", "ü"), { maxLength: 8 });
    fc.assert(
      fc.property(pattern, fc.array(text, { minLength: 1, maxLength: 5 }), (source, texts) => {
        const compiled = compilePattern(source);
        if (!compiled.ok) return assert.match(compiled.hint, /256 steps|deep/);
        const peer = new RegExp(source);
        for (const parts of texts) {
          const value = parts.join("");
          assert.equal(compiled.pattern.test(value), peer.test(value), `/${source}/ on ${JSON.stringify(value)}`);
        }
      }),
      { numRuns: 1500 },
    );
  });

  for (const [source, hint] of [
    ["(a", /no `\)`/],
    ["a)", /no `\(`/],
    ["[a", /no `\]`/],
    ["*a", /before `\*`/],
    ["a**", /before `\*`/],
    ["a{", /\{2\}/],
    ["a{2,1}", /smaller number/],
    ["a}", /escape/],
    ["]", /escape/],
    ["(?=a)", /looking ahead/],
    ["(?<!a)b", /looking ahead/],
    ["(?<n>a)", /names/],
    ["(a)\\1", /`\\1` is not supported/],
    ["\\pL", /`\\p` is not supported/],
    ["\\", /at the end/],
    ["\\x4", /hexadecimal/],
    ["[z-a]", /smaller character/],
    ["[\\d-x]", /one character at each end/],
    ["^*", /cannot be repeated/],
    ["a{300}", /256 steps/],
    ["((a{20}){20}){20}", /256 steps/],
    ["(((){9999}){9999}|a){9999}", /256 steps/],
    ["(".repeat(40) + ")".repeat(40), /deep/],
  ] as const) {
    it(`/${source.length > 30 ? `${source.slice(0, 30)}…` : source}/ is refused with a way out`, () => {
      const compiled = compilePattern(source);
      assert.ok(!compiled.ok);
      assert.match(compiled.hint, hint);
    });
  }

  it("what would take JavaScript's engine years is over at once, and a value over the bound does not match", () => {
    const hostile = "a".repeat(patternValueMax);
    for (const source of ["^(a+)+b$", "(a|a)*b", "(a|aa)+$b", ".*.*.*.*.*b", "(a*)*c"]) {
      assert.equal(matches(source, hostile), false, source);
    }
    assert.equal(matches("^(a+)+$", hostile), true);
    assert.equal(matches("^(a+)+$", `${hostile}a`), false);
    assert.ok(patternStepsMax <= 256);
  });
});
