import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { requires } from "@tideway/scripts/requires";
import { figureHeight, figureWidth, svgOf, writePng } from "./figure.ts";

const axis = (title: string) => ({
  title,
  ticks: [0, 5, 10].map((at) => ({ at, label: `${at}` })),
  scale: (value: number) => value,
});
const svg = svgOf({
  title: "a < b & c",
  subtitle: "",
  x: axis("x"),
  y: axis("y"),
  lines: [
    {
      name: "one",
      color: "#000000",
      dashes: "",
      note: "",
      points: [
        [0, 0],
        [5, 10],
        [10, 50],
      ],
    },
  ],
});

test("ends of the axes are corners of the plot, and what is beyond them is drawn at the end", () => {
  assert.match(svg, /<polyline points="78,438 425,84 772,84"/);
});

test("text of a figure stays text", () => {
  assert.match(svg, />a &lt; b &amp; c</);
});

test("Chromium draws it, twice as fine as it is wide", { skip: requires("chromium") }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tideway-bench-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "figure.png");
  assert.equal(await writePng(svg, file), true);
  const png = readFileSync(file);
  assert.equal(png.toString("latin1", 1, 4), "PNG");
  assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [2 * figureWidth, 2 * figureHeight]);
});
