import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSource } from "./source.ts";

const parse = (text: string) => parseSource("a.ts", text);

test("code keeps its length and lines; comments and strings are blank", () => {
  const text = `const a = "x\\"y"; // z\n/* one\ntwo */ const b = 'q';\n`;
  const { code, strings } = parse(text);
  assert.equal(code, `const a = "    ";     \n      \n       const b = ' ';\n`);
  assert.deepEqual(strings, [`x\\"y`, "q"]);
});

test("expressions in templates stay code, however deep", () => {
  const { code, strings } = parse("`a ${f({ b: `c ${d} e` })} g` + h;\n");
  assert.equal(code, "`  ${f({ b: `  ${d}  ` })}  ` + h;\n");
  assert.deepEqual(strings, ["a ", "c ", " e", " g"]);
});

test("a quote in a regular expression opens no string, a division no regular expression", () => {
  assert.equal(parse(`a.match(/["'/]/g); b("x");\n`).code, `a.match(/     /g); b(" ");\n`);
  assert.equal(parse(`const c = a / b; const d = (a) / 2; "x";\n`).code, `const c = a / b; const d = (a) / 2; " ";\n`);
});

test("an apostrophe between tags opens no string", () => {
  assert.deepEqual(parseSource("a.tsx", `const a = <p>It's</p>;\nconst b = "c";\n`).strings, ["c"]);
});

test("imports of every form are found, with their line, and whether they are erased", () => {
  const { imports } = parse(
    [
      `import a from "a";`,
      `import type { B } from "b";`,
      `import { type C, c } from "c";`,
      `import {\n  d,\n} from "d";`,
      `import "e";`,
      `export * from "f";`,
      `export type { G } from "g";`,
      `const h = await import("h");`,
      `import type, { i } from "i";`,
      `// import j from "j"`,
      `const k = 'import k from "k"';`,
      `export const from = "l";`,
    ].join("\n"),
  );
  assert.deepEqual(
    imports.map(({ specifier, typeOnly, line }) => `${line} ${specifier}${typeOnly ? " (type)" : ""}`),
    ["1 a", "2 b (type)", "3 c", "6 d", "7 e", "8 f", "9 g (type)", "10 h", "11 i"],
  );
});
