/** Figures of several rounds as one table on standard output. */

export interface Column {
  readonly title: string;
  readonly digits: number;
}

/** One server: for each round, one figure per column. */
export interface Row {
  readonly name: string;
  readonly rounds: readonly (readonly number[])[];
}

/** The figures of `count` rounds, in each of which every contender has its turn, so that a change of the machine's mood meets all. */
export async function rounds<C extends { readonly name: string }>(
  count: number,
  contenders: readonly C[],
  measure: (contender: C) => Promise<readonly number[]>,
): Promise<Row[]> {
  const rows = contenders.map(({ name }): { name: string; rounds: (readonly number[])[] } => ({ name, rounds: [] }));
  for (let round = 0; round < count; round++) {
    for (const [index, contender] of contenders.entries()) rows[index]!.rounds.push(await measure(contender));
  }
  return rows;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The row's medians, column by column. */
function medians(row: Row): number[] {
  return row.rounds[0]!.map((_, column) => median(row.rounds.map((round) => round[column]!)));
}

function format(value: number, digits: number): string {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A table of medians; under each figure's column the first row's figure divided by each other row's. */
export function table(columns: readonly Column[], rows: readonly Row[]): string {
  const [ours] = rows;
  const head = ["", ...columns.flatMap(({ title }) => [title, "ours ÷ its"])];
  const body = rows.map((row) => {
    const figures = medians(row);
    const cells = figures.flatMap((figure, column) => {
      const ratio = row === ours || figure === 0 ? "" : format(medians(ours!)[column]! / figure, 2);
      return [format(figure, columns[column]!.digits), ratio];
    });
    return [row.name, ...cells];
  });
  const widths = head.map((_, column) => Math.max(...[head, ...body].map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join("   ")
      .trimEnd();
  return [head, ...body].map(line).join("\n");
}
