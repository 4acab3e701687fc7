import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { describeRepository, type Finding } from "./repository.ts";
import { check } from "./rules.ts";
import type { Ratchet } from "./sizes.ts";

/** A small repository in which every rule holds. */
const sound: Readonly<Record<string, string>> = {
  "package.json": JSON.stringify({ name: "root", devDependencies: { "fast-check": "1.0.0" } }),
  "packages/base/package.json": JSON.stringify({
    name: "@tideway/base",
    exports: { ".": "./index.ts", "./testing": "./testing.ts" },
  }),
  "packages/base/index.ts": `export * from "./clock.ts";\n`,
  "packages/base/README.md": "",
  "packages/base/clock.ts": `/** Not Date.now() */ export const name = "Date.now()";\n`,
  "packages/base/testing.ts": `import { name } from "./clock.ts";\nexport const fake = name;\n`,
  "packages/wire/package.json": JSON.stringify({
    name: "@tideway/wire",
    exports: { "./http1": "./http1/index.ts", "./fields": "./fields/index.ts" },
    dependencies: { "@tideway/base": "1.0.0" },
  }),
  "packages/wire/http1/index.ts": `export { parse } from "./parse.ts";\n`,
  "packages/wire/http1/README.md": "",
  "packages/wire/http1/parse.ts": `import { name } from "@tideway/base";\nimport { field } from "@tideway/wire/fields";\nexport const parse = name + field;\n`,
  "packages/wire/fields/index.ts": `export const field = "a";\n`,
  "packages/wire/fields/README.md": "",
  "packages/edge/package.json": JSON.stringify({
    name: "@tideway/edge",
    exports: { "./clock": "./clock/index.ts", "./listener": "./listener/index.ts", "./files": "./files/index.ts" },
    dependencies: { "@tideway/base": "1.0.0", "@tideway/wire": "1.0.0" },
    devDependencies: { ws: "8.0.0", "@tideway/scripts": "1.0.0" },
  }),
  "packages/edge/clock/index.ts": `import { name } from "@tideway/base";\nexport const now = () => Date.now() + name;\n`,
  "packages/edge/clock/README.md": "",
  "packages/edge/listener/index.ts": `import { parse } from "@tideway/wire/http1";\nexport const worker = new URL("./worker.ts", import.meta.url) + parse;\n`,
  "packages/edge/listener/README.md": "",
  "packages/edge/listener/worker.ts": `export {};\n`,
  "packages/edge/listener/listener.test.ts": `import test from "node:test";\nimport { WebSocket } from "ws";\nimport { fake } from "@tideway/base/testing";\nimport { now } from "@tideway/edge/clock";\nimport { check } from "fast-check";\nimport { freePort } from "@tideway/scripts/free-port";\nimport { requires } from "@tideway/scripts/requires";\ntest("a", { skip: requires("dig") }, () => [WebSocket, fake, now, check, freePort]);\n`,
  "packages/edge/files/index.ts": `export const files = 1;\n`,
  "packages/edge/files/README.md": "",
  "apps/demo/package.json": JSON.stringify({ name: "demo", dependencies: { "@tideway/wire": "1.0.0" } }),
  "apps/demo/tideway.config.ts": `export default { command: "node server/main.ts" };\n`,
  "apps/demo/contract.ts": `export const limit = 1;\n`,
  "apps/demo/server/main.ts": `import { parse } from "@tideway/wire/http1";\nimport { limit } from "../contract.ts";\nparse(limit);\n`,
  "apps/demo/web/index.html": `<script type="module" src="/page.tsx"></script>`,
  "apps/demo/web/page.tsx": `import { limit } from "../contract.ts";\nexport const page = <p>It's {limit}</p>;\n`,
  "scripts/package.json": `{"name":"@tideway/scripts","exports":{"./requires":"./requires.ts","./free-port":"./free-port.ts"}}`,
  "scripts/requires.ts": `export const requires = (name: string) => name;\n`,
  "scripts/free-port.ts": `export const freePort = () => 1;\n`,
};

function findings(changes: Readonly<Record<string, string>> = {}, ratchet: Ratchet = {}): Finding[] {
  const files = Object.entries({ ...sound, ...changes }).map(([path, text]) => ({ path, text }));
  return check(describeRepository(files), ratchet);
}

/** Replaces the file at `path` by `text`, and expects findings of exactly these rules there. */
function expectRules(path: string, text: string, ...rules: readonly string[]): void {
  const found = findings({ [path]: text });
  assert.deepEqual([...new Set(found.map((each) => each.rule))], rules, JSON.stringify(found, null, 2));
  if (rules.length > 0)
    assert.ok(
      found.some((each) => each.path === path),
      `none is at ${path}: ${JSON.stringify(found)}`,
    );
}

function lines(count: number, line = "export {};\n"): string {
  return line.repeat(count);
}

test("a sound repository has no findings", () => {
  assert.deepEqual(findings(), []);
});

suite("imports", () => {
  const offenders: readonly (readonly [why: string, path: string, text: string])[] = [
    [
      "a tier below imports one above",
      "packages/base/clock.ts",
      `export { parse as name } from "@tideway/wire/http1";\n`,
    ],
    [
      "a room imports a sibling that the table does not allow",
      "packages/edge/files/index.ts",
      `import type { worker } from "@tideway/edge/listener";\nexport type W = typeof worker;\n`,
    ],
    [
      "a sibling in the direction that the table does not allow",
      "packages/wire/fields/index.ts",
      `export { parse as field } from "@tideway/wire/http1";\n`,
    ],
    [
      "running code of a room reads the system's clock",
      "packages/edge/files/index.ts",
      `export { now as files } from "@tideway/edge/clock";\n`,
    ],
    [
      "running code imports a fake",
      "packages/edge/files/index.ts",
      `export { fake as files } from "@tideway/base/testing";\n`,
    ],
    [
      "a relative import reaches past a sibling's front door",
      "packages/wire/http1/parse.ts",
      `import { name } from "@tideway/base";\nimport { field } from "../fields/inner.ts";\nexport const parse = name + field;\n`,
    ],
    [
      "a relative import leaves the package",
      "packages/wire/http1/parse.ts",
      `import { name } from "../../base/index.ts";\nimport { field } from "@tideway/wire/fields";\nimport "@tideway/base";\nexport const parse = name + field;\n`,
    ],
    [
      "a path that the package does not export",
      "apps/demo/server/main.ts",
      `import { parse } from "@tideway/wire/http1/parse.ts";\nimport { limit } from "../contract.ts";\nparse(limit);\n`,
    ],
    ["a dynamic import", "packages/base/clock.ts", `export const name = await import("@tideway/wire/http1");\n`],
    [
      "a file imports its own room's front door by name",
      "packages/wire/http1/parse.ts",
      `import { name } from "@tideway/base";\nimport { field } from "@tideway/wire/fields";\nimport "@tideway/wire/http1";\nexport const parse = name + field;\n`,
    ],
    [
      "a package imports an application",
      "packages/edge/files/index.ts",
      `export { limit as files } from "../../../apps/demo/contract.ts";\n`,
    ],
    [
      "server and page import each other",
      "apps/demo/web/page.tsx",
      `import { limit } from "../contract.ts";\nimport { main } from "../server/main.ts";\nexport const page = <p>It's {limit + main}</p>;\n`,
    ],
    [
      "an import that leads nowhere",
      "packages/base/testing.ts",
      `import { name } from "./clocks.ts";\nexport const fake = name;\n`,
    ],
    [
      "scripts import a package",
      "scripts/requires.ts",
      `import { name } from "@tideway/base";\nexport const requires = name;\n`,
    ],
  ];
  for (const [why, path, text] of offenders) {
    test(`refused: ${why}`, () => {
      const extra = { "packages/wire/fields/inner.ts": `export const field = "a";\n` };
      const found = findings({ ...extra, [path]: text });
      assert.ok(
        found.some((each) => each.rule === "imports" && each.path === path),
        JSON.stringify(found),
      );
    });
  }

  test("a test may use the fakes of a sibling, running code may not", () => {
    const extra = { "packages/edge/listener/testing.ts": `export const fake = 1;\n` };
    const text = `import { fake } from "../listener/testing.ts";\nexport const files = fake;\n`;
    assert.deepEqual(
      findings({
        ...extra,
        "packages/edge/files/files.test.ts": text,
        "packages/edge/listener/a.test.ts": `import "./testing.ts";\n`,
      }),
      [],
    );
    const found = findings({ ...extra, "packages/edge/files/index.ts": text });
    assert.ok(
      found.some((each) => each.rule === "imports"),
      JSON.stringify(found),
    );
  });

  test("the room that the table allows is not refused, by name or by its front door", () => {
    expectRules(
      "packages/wire/http1/parse.ts",
      `import { name } from "@tideway/base";\nimport { field } from "../fields/index.ts";\nexport const parse = name + field;\n`,
    );
  });
});

suite("cycles", () => {
  test("two files that load one another are refused, and named once", () => {
    const found = findings({
      "packages/base/index.ts": `export * from "./clock.ts";\nexport * from "./b.ts";\n`,
      "packages/base/clock.ts": `export { b as name } from "./b.ts";\n`,
      "packages/base/b.ts": `export { name as b } from "./clock.ts";\n`,
    });
    assert.equal(found.length, 1);
    assert.equal(
      found[0]?.message,
      "imports itself: packages/base/clock.ts → packages/base/b.ts → packages/base/clock.ts",
    );
  });

  test("a ring that only types close is none", () => {
    const found = findings({
      "packages/base/index.ts": `export * from "./clock.ts";\nexport * from "./b.ts";\n`,
      "packages/base/clock.ts": `export { b as name } from "./b.ts";\n`,
      "packages/base/b.ts": `import type { name } from "./clock.ts";\nexport const b: typeof name = 1;\n`,
    });
    assert.deepEqual(found, []);
  });
});

suite("no clock, chance or I/O below edge", () => {
  const calls = [
    "Date.now()",
    "new Date()",
    "performance.now()",
    "setTimeout(f, 1)",
    "setInterval(f, 1)",
    "setImmediate(f)",
    "globalThis.setTimeout(f)",
    "Math.random()",
    "process.env",
    "crypto.randomUUID()",
    "fetch(f)",
  ];
  for (const call of calls) {
    test(`${call} is refused`, () =>
      expectRules("packages/base/clock.ts", `export const name = (f: never) => [f, ${call}];\n`, "pure"));
  }
  test("a date from an argument is no reading of the clock", () => {
    expectRules(
      "packages/base/clock.ts",
      "export const name = (f: number) => [new Date(f), `at ${f} Date.now()`, f.process.env];\n",
    );
  });
  test("a call inside a template's expression is seen", () => {
    expectRules("packages/base/clock.ts", "export const name = `at ${Date.now()}`;\n", "pure");
  });
  for (const [clause, rules] of [
    [`{ connect } from "node:net"`, ["pure"]],
    [`type { Socket } from "node:net"`, []],
    [`{ Buffer } from "node:buffer"`, []],
    [`{ createHash } from "node:crypto"`, []],
    [`{ createHash, randomBytes } from "node:crypto"`, ["pure"]],
  ] as const) {
    test(`import ${clause} is ${rules.length > 0 ? "refused" : "allowed"}`, () => {
      expectRules("packages/base/clock.ts", `import ${clause};\nexport const name = 1;\n`, ...rules);
    });
  }
  test("edge may read the clock, and so may tests", () => {
    expectRules("packages/edge/files/index.ts", `export const files = Date.now() + Math.random();\n`);
    expectRules("packages/base/clock.test.ts", `setTimeout(() => process.exit(), 1);\n`);
  });
});

suite("dead files", () => {
  test("a file that nobody imports is refused", () => expectRules("packages/base/spare.ts", "export {};\n", "dead"));
  test("a file that only a test imports is refused", () => {
    const found = findings({
      "packages/base/spare.ts": `export const spare = 1;\n`,
      "packages/base/spare.test.ts": `import { spare } from "./spare.ts";\nspare;\n`,
    });
    assert.deepEqual(
      found.map((each) => [each.rule, each.path]),
      [["dead", "packages/base/spare.ts"]],
    );
  });
  test("a comment that names a file does not keep it alive", () => {
    const found = findings({
      "packages/base/spare.ts": "export {};\n",
      "packages/base/clock.ts": `// see ./spare.ts\nexport const name = 1;\n`,
    });
    assert.deepEqual(
      found.map((each) => each.path),
      ["packages/base/spare.ts"],
    );
  });
});

suite("rooms", () => {
  test("a room without a front door or a README is refused", () => {
    const found = findings({ "packages/edge/cache/store.test.ts": "export {};\n" });
    assert.deepEqual(
      found.map((each) => each.message),
      ["the room edge/cache has no index.ts", "the room edge/cache has no README.md"],
    );
  });
});

suite("dependencies", () => {
  const manifest = (change: object): string =>
    JSON.stringify({ ...JSON.parse(sound["apps/demo/package.json"]!), ...change });
  for (const version of ["^1.0.0", "~1.0.0", "*", "latest", ">=1", "1.0", "workspace:*"]) {
    test(`the version ${version} is refused`, () => {
      expectRules("apps/demo/package.json", manifest({ dependencies: { "@tideway/wire": version } }), "pinned");
    });
  }
  test("an import that the package does not declare is refused", () => {
    expectRules("apps/demo/contract.ts", `import zod from "zod";\nexport const limit = zod;\n`, "declared");
  });
  test("running code needs a dependency, not a development dependency", () => {
    expectRules(
      "packages/edge/files/index.ts",
      `import { WebSocket } from "ws";\nexport const files = WebSocket;\n`,
      "declared",
    );
  });
  test("a dependency that nothing imports is refused", () => {
    expectRules(
      "apps/demo/package.json",
      manifest({ dependencies: { "@tideway/wire": "1.0.0", zod: "1.0.0" } }),
      "declared",
    );
  });
});

suite("sizes", () => {
  const path = "packages/base/clock.ts";
  const longFile = `export const name = 1;\n${lines(400)}`;
  const body = lines(80, "  f();\n");
  test("a file of more than 400 lines is refused, one of 400 is not", () => {
    expectRules(path, longFile, "size");
    expectRules(path, `export const name = 1;\n${lines(399)}`);
  });
  for (const head of [
    "export function name(f: () => void): void {",
    "export const name = async (f: () => void) => {",
    "export const name: (f: () => void) => void = (f) => {",
    "export async function* name<T>(\n  f: () => T,\n): AsyncGenerator<T> {",
  ]) {
    test(`a function of more than 70 lines is refused: ${head.split("\n")[0]}`, () => {
      const found = findings({ [path]: `${head}\n${body}}\n` });
      assert.equal(found.length, 1, JSON.stringify(found));
      assert.match(found[0]!.message, /^name has 8\d lines/);
    });
  }
  for (const head of [
    "  name(): void {",
    "  static async #name(f: () => void): Promise<void> {",
    "  get name(): number {",
    "  constructor(\n    readonly f: number,\n  ) {",
  ]) {
    test(`a method of more than 70 lines is refused: ${head.split("\n")[0]}`, () => {
      expectRules(path, `export class name {\n${head}\n${body}  }\n}\n`, "size");
    });
  }
  test("a class, an interface and a table may be longer than a function", () => {
    const members = lines(80, "  a() {}\n");
    expectRules(
      path,
      `export class name {\n${members}}\nexport interface B {\n${members}}\nexport const c = {\n${lines(80, "  a: 1,\n")}};\n`,
    );
  });
  test("a listed size is allowed, a larger one is refused, a smaller one must be entered", () => {
    assert.deepEqual(findings({ [path]: longFile }, { [path]: 401 }), []);
    assert.match(
      findings({ [path]: `${longFile}\n\n` }, { [path]: 401 })[0]!.message,
      /it had 401, and may only shrink/,
    );
    assert.match(findings({ [path]: longFile }, { [path]: 450 })[0]!.message, /has only 401 lines now/);
    assert.match(findings({}, { [path]: 450 })[0]!.message, /is within the limit or gone/);
  });
});

suite("words", () => {
  for (const word of [
    "/work/somewhere",
    "/root/.cache",
    "/home/someone/x",
    "https://registry.example.org/x",
    "registry.example.com",
  ]) {
    test(`${word} is refused everywhere`, () => {
      expectRules("packages/base/README.md", `See ${word}.\n`, "words");
      expectRules("packages/base/clock.ts", `// ${word}\nexport const name = 1;\n`, "words");
    });
  }
  test("work and root as words of a path or sentence are no machine's paths", () => {
    expectRules("packages/base/README.md", "Paths such as apps/work/x, ./root/y and the root / work of it.\n");
  });
  for (const word of ["TODO", "FIXME", "XXX"]) {
    test(`${word} is refused in code`, () => {
      expectRules("packages/base/clock.ts", `// ${word}: later\nexport const name = 1;\n`, "unfinished");
    });
  }
});

suite("tests that are switched off", () => {
  const file = "packages/base/base.test.ts";
  for (const call of [
    `test.only("a", f)`,
    `test("a", { only: true }, f)`,
    `describe.skip("a", f)`,
    `test("a", { skip: true }, f)`,
    `it.todo("a")`,
    `test("a", (t) => t.skip())`,
  ]) {
    test(`${call} is refused`, () =>
      expectRules(file, `import { describe, it, test } from "node:test";\n${call};\n`, "tests"));
  }
  test("a reason makes a skip acceptable", () => {
    expectRules(file, `import test from "node:test";\ntest("a", { skip: "needs IPv6" }, (t) => t.skip("why"));\n`);
  });
});
