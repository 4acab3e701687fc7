/** Figures of several rounds as one table on standard output. */

export interface Column {
  readonly title: string;
  readonly digits: number;
  /** False where ours by theirs says nothing, because it may be about nothing. */
  readonly compared?: false;
}

/** One server: for each round, one figure per column. */
export interface Row {
  readonly name: string;
  readonly rounds: readonly (readonly number[])[];
}

/**
 * The figures of `count` rounds, in each of which every contender has its turn, so that a change of the machine's mood meets
 * all. Each round begins with another one: what stands before a turn is no contender's own luck.
 */
export async function rounds<C extends { readonly name: string }>(
  count: number,
  contenders: readonly C[],
  measure: (contender: C) => Promise<readonly number[]>,
): Promise<Row[]> {
  const rows = contenders.map(({ name }): { name: string; rounds: (readonly number[])[] } => ({ name, rounds: [] }));
  for (let round = 0; round < count; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const index = (round + turn) % contenders.length;
      rows[index]!.rounds.push(await measure(contenders[index]!));
    }
  }
  return rows;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The row's medians, column by column. */
export function medians(row: Row): number[] {
  return row.rounds[0]!.map((_, column) => median(row.rounds.map((round) => round[column]!)));
}

function format(value: number, digits: number): string {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A table of medians; beside each figure the first row's divided by it, unless its column is not compared. */
export function table(columns: readonly Column[], rows: readonly Row[]): string {
  const [ours] = rows;
  const withRatio = (column: Column, figure: string, ratio: string): string[] =>
    column.compared === false ? [figure] : [figure, ratio];
  const head = ["", ...columns.flatMap((column) => withRatio(column, column.title, "ours ÷ its"))];
  const body = rows.map((row) => {
    const cells = medians(row).flatMap((figure, index) => {
      const column = columns[index]!;
      const ratio = row === ours ? "" : format(medians(ours!)[index]! / figure, 2);
      return withRatio(column, format(figure, column.digits), ratio);
    });
    return [row.name, ...cells];
  });
  return aligned([head, ...body]);
}

/** Rows of cells in columns: the first to the left, the others to the right. */
export function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join("   ")
      .trimEnd();
  return rows.map(line).join("\n");
}
