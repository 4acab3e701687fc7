/** Lines over two axes as an SVG of 800 × 500, and that as a PNG by Chromium. Owns how a figure looks, never what it shows. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { findProgram } from "@tideway/scripts/requires";
import { Program } from "./processes.ts";

export interface Axis {
  /** With its unit. */
  readonly title: string;
  /** The lowest and the highest are the ends of the axis. */
  readonly ticks: readonly { readonly at: number; readonly label: string }[];
  /** Where a value lies, in any unit: `Math.log10` for a logarithmic axis. */
  readonly scale: (value: number) => number;
}

export interface Line {
  readonly name: string;
  readonly color: string;
  /** SVG's `stroke-dasharray`, so that lines differ without colours too; empty for a solid one. */
  readonly dashes: string;
  /** In the legend, behind the name. */
  readonly note: string;
  readonly points: readonly (readonly [number, number])[];
}

export interface Figure {
  readonly title: string;
  readonly subtitle: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
}

export const figureWidth = 800;
export const figureHeight = 500;
const plot = { left: 78, right: 28, top: 84, bottom: 62 };
/** In the corner that rising curves leave free. */
const legend = { right: 18, bottom: 16, row: 21, sample: 34, width: 252 };
const pixelsPerPoint = 2;

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (char) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[char]!);
const rounded = (value: number): string => String(Math.round(value * 10) / 10);

/** The axis' values as pixels from `from` to `to`; what lies beyond an end is drawn at the end. */
function pixels({ ticks, scale }: Axis, from: number, to: number): (value: number) => number {
  const ends = ticks.map(({ at }) => at);
  const [low, high] = [scale(Math.min(...ends)), scale(Math.max(...ends))];
  return (value) => from + ((Math.min(high, Math.max(low, scale(value))) - low) / (high - low)) * (to - from);
}

export function svgOf(figure: Figure): string {
  const [left, right] = [plot.left, figureWidth - plot.right];
  const [top, bottom] = [plot.top, figureHeight - plot.bottom];
  const x = pixels(figure.x, left, right);
  const y = pixels(figure.y, bottom, top);
  const text = (at: readonly [number, number], content: string, more = ""): string =>
    `<text x="${rounded(at[0])}" y="${rounded(at[1])}" ${more}>${escaped(content)}</text>`;
  const rule = (x1: number, y1: number, x2: number, y2: number, more: string): string =>
    `<line x1="${rounded(x1)}" y1="${rounded(y1)}" x2="${rounded(x2)}" y2="${rounded(y2)}" ${more}/>`;
  const grid = 'stroke="#e3e6ea"';
  const middle = 'text-anchor="middle"';
  const yTitle = [20, (top + bottom) / 2] as const;
  const parts = [
    text([left, 34], figure.title, 'font-size="19" font-weight="bold"'),
    text([left, 59], figure.subtitle, 'font-size="13.5" fill="#57606a"'),
    ...figure.x.ticks.flatMap(({ at, label }) => [
      rule(x(at), top, x(at), bottom, grid),
      text([x(at), bottom + 21], label, middle),
    ]),
    ...figure.y.ticks.flatMap(({ at, label }) => [
      rule(left, y(at), right, y(at), grid),
      text([left - 9, y(at) + 4.5], label, 'text-anchor="end"'),
    ]),
    rule(left, bottom, right, bottom, 'stroke="#57606a"'),
    rule(left, top, left, bottom, 'stroke="#57606a"'),
    text([(left + right) / 2, figureHeight - 16], figure.x.title, middle),
    text(yTitle, figure.y.title, `${middle} transform="rotate(-90 ${yTitle.map(rounded).join(" ")})"`),
    ...figure.lines.map(({ points, color, dashes }) => {
      const path = points.map(([px, py]) => `${rounded(x(px))},${rounded(y(py))}`).join(" ");
      return `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="2.5" stroke-linejoin="round" ${dashed(dashes)}/>`;
    }),
    ...legendOf(figure.lines, right - legend.right, bottom - legend.bottom),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${figureWidth}" height="${figureHeight}" viewBox="0 0 ${figureWidth} ${figureHeight}" font-family="DejaVu Sans, Verdana, sans-serif" font-size="13" fill="#1f2328">
<rect width="100%" height="100%" fill="#ffffff"/>
${parts.join("\n")}
</svg>\n`;
}

function legendOf(lines: readonly Line[], right: number, bottom: number): string[] {
  const height = lines.length * legend.row + 12;
  const [left, top] = [right - legend.width, bottom - height];
  return [
    `<rect x="${left}" y="${top}" width="${legend.width}" height="${height}" rx="5" fill="#ffffff" stroke="#d0d7de"/>`,
    ...lines.map(({ name, color, dashes, note }, row) => {
      const y = top + 6 + legend.row * (row + 0.5);
      const from = left + 12;
      return (
        `<line x1="${from}" y1="${y}" x2="${from + legend.sample}" y2="${y}" stroke="${color}" stroke-width="2.5" ${dashed(dashes)}/>` +
        `<text x="${from + legend.sample + 10}" y="${y + 4.5}">${escaped(name)}</text>` +
        `<text x="${left + legend.width - 12}" y="${y + 4.5}" text-anchor="end" fill="#57606a">${escaped(note)}</text>`
      );
    }),
  ];
}

function dashed(dashes: string): string {
  return dashes === "" ? "" : `stroke-dasharray="${dashes}"`;
}

/** Writes the SVG as a PNG; false when there is no Chromium to draw it. */
export async function writePng(svg: string, file: string): Promise<boolean> {
  const chromium = findProgram("chromium");
  if (chromium === null) return false;
  const folder = mkdtempSync(join(tmpdir(), "tideway-figure-"));
  try {
    const source = join(folder, "figure.svg");
    writeFileSync(source, svg);
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"];
    const size = [
      `--window-size=${figureWidth},${figureHeight}`,
      `--force-device-scale-factor=${pixelsPerPoint}`,
      `--user-data-dir=${join(folder, "profile")}`,
    ];
    await new Program("any", [chromium, ...flags, ...size, `--screenshot=${file}`, pathToFileURL(source).href]).ended();
    return true;
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
