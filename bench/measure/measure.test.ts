import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { cpuOf, processTree } from "./cpu.ts";
import { rounds, table } from "./table.ts";

test("a process's CPU time agrees with what the process says of itself", () => {
  const { user, system } = process.cpuUsage();
  const said = (user + system) / 1000;
  assert.ok(Math.abs(cpuOf(process.pid) - said) <= 50, `${cpuOf(process.pid)} ms, it says ${said} ms`);
});

test("a process's children count as its own", async () => {
  const child = spawn("sleep", ["60"]);
  await once(child, "spawn");
  assert.deepEqual(processTree(process.pid).includes(child.pid!), true);
  child.kill();
  await once(child, "close");
});

test("in each round every contender has its turn, and each has the first one", async () => {
  const turns: string[] = [];
  const rows = await rounds(3, [{ name: "a" }, { name: "b" }, { name: "c" }], async ({ name }) => [turns.push(name)]);
  assert.deepEqual(turns, [..."abc", ..."bca", ..."cab"]);
  assert.deepEqual(
    rows.map(({ name, rounds: [first, second, third] }) => [name, first, second, third]),
    [
      ["a", [1], [6], [8]],
      ["b", [2], [4], [9]],
      ["c", [3], [5], [7]],
    ],
  );
});

test("a table shows medians, and ours divided by each other's", () => {
  const text = table(
    [
      { title: "a/s", digits: 0 },
      { title: "µs", digits: 1 },
    ],
    [
      {
        name: "ours",
        rounds: [
          [3000, 2],
          [1000, 9],
          [2000, 3],
        ],
      },
      {
        name: "peer",
        rounds: [
          [500, 2],
          [1500, 2],
        ],
      },
    ],
  );
  assert.deepEqual(
    text.split("\n").map((line) => line.split(/\s{2,}/)),
    [
      ["", "a/s", "ours ÷ its", "µs", "ours ÷ its"],
      ["ours", "2,000", "3.0"],
      ["peer", "1,000", "2.00", "2.0", "1.50"],
    ],
  );
});

test("a column that is not compared has figures alone", () => {
  const columns = [
    { title: "failed", digits: 0, compared: false },
    { title: "ms", digits: 1 },
  ] as const;
  const rows = [
    { name: "ours", rounds: [[0, 1]] },
    { name: "peer", rounds: [[0, 2]] },
  ];
  assert.deepEqual(
    table(columns, rows)
      .split("\n")
      .map((line) => line.split(/\s{2,}/)),
    [
      ["", "failed", "ms", "ours ÷ its"],
      ["ours", "0", "1.0"],
      ["peer", "0", "2.0", "0.50"],
    ],
  );
});
