import assert from "node:assert/strict";
import { test } from "node:test";
import { barsOf, ticksOf } from "./bars.ts";

test("ticks begin at 0, end at or beyond the highest value, and are round", () => {
  assert.deepEqual(ticksOf(1_085_282), [0, 500_000, 1_000_000, 1_500_000]);
  assert.deepEqual(ticksOf(86_172), [0, 20_000, 40_000, 60_000, 80_000, 100_000]);
  assert.deepEqual(ticksOf(5), [0, 1, 2, 3, 4, 5]);
});

const svg = barsOf({
  title: "a < b & c",
  subtitle: "",
  axis: "deliveries/s",
  panels: [
    {
      title: "panel",
      groups: [
        {
          title: "group",
          bars: [
            { name: "one", value: 100, isOurs: true },
            { name: "two", value: 50, isOurs: false },
          ],
        },
      ],
    },
  ],
});

test("bars are as long as their values, from the axis' beginning, and say them", () => {
  const widths = [...svg.matchAll(/<rect x="220" y="[\d.]+" width="([\d.]+)"/g)].map(([, width]) => Number(width));
  assert.deepEqual(widths, [490, 245]);
  assert.match(svg, />100</);
  assert.match(svg, />50</);
});

test("text stays text, and there are colours for both kinds of pages", () => {
  assert.match(svg, />a &lt; b &amp; c</);
  assert.match(svg, /prefers-color-scheme: dark/);
});
