/** `tideway check`: validates a configuration and prints every value of the effective plan with its origin. */
import { findConfiguration, loadPlan, show } from "../config/index.ts";
import { table } from "./table.ts";

export async function check(given: string | undefined, options: { json?: boolean }): Promise<number> {
  const plan = await loadPlan(findConfiguration(given, process.cwd()), process.env);
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ file: plan.file, values: plan.rows }, null, 2)}\n`);
    return 0;
  }
  const rows = plan.rows.map((row) => [row.path, show(row.value), row.origin]);
  process.stdout.write(`${plan.file} is valid.\n\n${table(["KEY", "VALUE", "FROM"], rows)}\n`);
  return 0;
}
