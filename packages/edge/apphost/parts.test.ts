import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { backoffMs } from "./backoff.ts";
import { parseCommand } from "./command.ts";
import { LineSplitter } from "./lines.ts";
import { PortPicker } from "./ports.ts";
import { readLine } from "./structured.ts";

test("simple words run without a shell; quotes and backslashes hold words together", () => {
  const cases: [string, string[]][] = [
    ["node server.ts", ["node", "server.ts"]],
    ["  node   --flag=1  x ", ["node", "--flag=1", "x"]],
    [`node 'a b' "c d" e\\ f`, ["node", "a b", "c d", "e f"]],
    [`node "a\\"b" 'c"d' ""`, ["node", 'a"b', 'c"d', ""]],
    [`node "a\\b" x=1`, ["node", "a\\b", "x=1"]],
  ];
  for (const [text, expected] of cases) {
    const { file, args } = parseCommand(text);
    assert.deepEqual([file, ...args], expected, text);
  }
});

test("what only a shell understands is given to one, whole", () => {
  for (const text of [
    "a | b",
    "a && b",
    "A=1 node x",
    "node $FILE",
    'node "$FILE"',
    "a > b",
    "node *.ts",
    "echo `x`",
    "node 'open",
    "~/x",
  ]) {
    assert.deepEqual(parseCommand(text), { file: "/bin/sh", args: ["-c", text] }, text);
  }
});

test("the first restart comes within 100 ms, later ones double up to 30 s, with jitter", () => {
  assert.ok(backoffMs(1, 0.999) <= 100);
  assert.deepEqual(
    [2, 3, 4].map((n) => backoffMs(n, 1)),
    [250, 500, 1000],
  );
  assert.deepEqual([backoffMs(50, 1), backoffMs(50, 0)], [30_000, 15_000]);
});

test("output becomes lines, whatever pieces it comes in, and characters stay whole", () => {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  for (const byte of Buffer.from("one\r\n\nzwölf €\nlast")) splitter.write(Buffer.from([byte]));
  splitter.end();
  assert.deepEqual(lines, ["one", "zwölf €", "last"]);
});

test("a line without end is cut, and the next one is whole again", () => {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  for (let i = 0; i < 100; i++) splitter.write(Buffer.alloc(1000, 97));
  splitter.write(Buffer.from("\nnext\n"));
  assert.deepEqual(
    lines.map((line) => line.length),
    [8193, 4],
  );
});

test("ports are free, below the range of outgoing connections, and never given twice", async () => {
  const picker = new PortPicker(new SeededRandom(1));
  const ports = await Promise.all(Array.from({ length: 20 }, () => picker.pick("127.0.0.1")));
  assert.equal(new Set(ports).size, 20);
  for (const port of ports) assert.ok(port >= 20_000 && port < 32_000);
});

test("a line that is a log entry in JSON keeps its level, its words and its own fields; any other line is its own words", () => {
  const pino = '{"level":50,"time":1,"pid":7,"hostname":"h","name":"app","port":3000,"msg":"no room"}';
  assert.deepEqual(readLine(pino), { level: "error", fields: { port: 3000 }, message: "no room" });
  const winston = '{"level":"warn","message":"slow","timestamp":"t","ms":9}';
  assert.deepEqual(readLine(winston), { level: "warn", fields: { ms: 9 }, message: "slow" });
  assert.equal(readLine('{"level":20,"msg":"detail"}').level, "info");
  for (const line of ["listening", '{"level":30', '{"msg":"no level"}', '{"level":30,"msg":{}}', "{}", "[1]", ""]) {
    assert.deepEqual(readLine(line), { level: "info", fields: {}, message: line });
  }
});
