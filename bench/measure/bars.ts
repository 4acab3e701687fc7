/**
 * Horizontal bars in panels one under the other, each with an axis of its own, as an SVG that takes the colours of the page
 * that it stands in: light or dark. Owns how they look, never what they show.
 */

export interface Bar {
  readonly name: string;
  readonly value: number;
  /** The first is ours, the others are peers. */
  readonly isOurs: boolean;
}

export interface BarPanel {
  readonly title: string;
  readonly groups: readonly { readonly title: string; readonly bars: readonly Bar[] }[];
}

export interface BarFigure {
  readonly title: string;
  readonly subtitle: string;
  /** Of the value, with its unit. */
  readonly axis: string;
  readonly panels: readonly BarPanel[];
}

const width = 800;
const plot = { left: 220, right: 90 };
const bar = { height: 17, step: 22 };
const head = 76;
const panelHead = 34;
const groupGap = 12;
const panelFoot = 56;
/** Steps between an axis' ticks: 1, 2 or 5 times a power of ten, so that there are about so many. */
const ticksWanted = 5;

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (char) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[char]!);
const rounded = (value: number): string => String(Math.round(value * 10) / 10);
export const figure = (value: number): string => Math.round(value).toLocaleString("en-US");

/** Ticks from 0 to the first that is not below `highest`. */
export function ticksOf(highest: number): number[] {
  const rough = highest / ticksWanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((times) => times * power >= rough)!;
  return Array.from({ length: Math.ceil(highest / step) + 1 }, (_, tick) => tick * step);
}

function text(x: number, y: number, content: string, className: string, anchor = "start"): string {
  return `<text x="${rounded(x)}" y="${rounded(y)}" class="${className}" text-anchor="${anchor}">${escaped(content)}</text>`;
}

function panelOf(panel: BarPanel, top: number, axis: string): { parts: string[]; height: number } {
  const highest = Math.max(...panel.groups.flatMap(({ bars }) => bars.map(({ value }) => value)));
  const ticks = ticksOf(highest);
  const [left, right] = [plot.left, width - plot.right];
  const x = (value: number): number => left + (value / ticks.at(-1)!) * (right - left);
  const rows: string[] = [];
  let y = top + panelHead;
  for (const { title, bars } of panel.groups) {
    rows.push(text(24, y + bar.height - 4, title, "group"));
    for (const { name, value, isOurs } of bars) {
      const middle = y + bar.height - 4;
      rows.push(
        text(left - 8, middle, name, isOurs ? "ours" : "peer", "end"),
        `<rect x="${left}" y="${rounded(y)}" width="${rounded(Math.max(1, x(value) - left))}" height="${bar.height}" class="${isOurs ? "bar-ours" : "bar-peer"}"/>`,
        text(x(value) + 6, middle, figure(value), isOurs ? "ours" : "peer"),
      );
      y += bar.step;
    }
    y += groupGap;
  }
  const bottom = y - groupGap + 2;
  const grid = ticks.flatMap((at) => [
    `<line x1="${rounded(x(at))}" y1="${rounded(top + panelHead - 6)}" x2="${rounded(x(at))}" y2="${rounded(bottom)}" class="grid"/>`,
    text(x(at), bottom + 17, figure(at), "tick", "middle"),
  ]);
  const parts = [
    text(24, top + 16, panel.title, "panel"),
    ...grid,
    ...rows,
    text((left + right) / 2, bottom + 36, axis, "tick", "middle"),
  ];
  return { parts, height: bottom + panelFoot - top };
}

export function barsOf({ title, subtitle, axis, panels }: BarFigure): string {
  const parts: string[] = [];
  let top = head;
  for (const panel of panels) {
    const drawn = panelOf(panel, top, axis);
    parts.push(...drawn.parts);
    top += drawn.height;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${Math.ceil(top)}" viewBox="0 0 ${width} ${Math.ceil(top)}" font-family="DejaVu Sans, Verdana, sans-serif" font-size="13">
<title>${escaped(title)}</title>
<style>
  .paper { fill: #ffffff } text { fill: #1f2328 } .title { font-size: 19px; font-weight: bold } .panel, .group, .ours { font-weight: bold }
  .subtitle, .tick, .peer { fill: #57606a } .grid { stroke: #d8dde3 } .bar-ours { fill: #0072b2 } .bar-peer { fill: #9aa4af }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } text { fill: #e6edf3 } .subtitle, .tick, .peer { fill: #9da7b3 } .grid { stroke: #30363d }
    .bar-ours { fill: #56b4e9 } .bar-peer { fill: #6e7681 }
  }
</style>
<rect width="100%" height="100%" class="paper"/>
${text(24, 34, title, "title")}
${text(24, 57, subtitle, "subtitle")}
${parts.join("\n")}
</svg>\n`;
}
