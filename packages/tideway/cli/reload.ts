/** `tideway reload`: has the running server read its configuration again, and prints what changed. */
import { findConfiguration, reloadPlan } from "../config/index.ts";
import { askControl, type ReloadReport } from "../console/index.ts";

/** Longer than the starts of all new instances may take. */
const reloadTimeoutMs = 60 * 60 * 1000;

export async function reload(given: string | undefined, options: { json?: boolean }): Promise<number> {
  // Read here first: a fault is told where the person is who can mend it, and the server is not even asked.
  const { dataDirectory } = await reloadPlan(findConfiguration(given, process.cwd()), process.env);
  const report = await askControl<ReloadReport>(dataDirectory, "/reload", {
    method: "POST",
    timeoutMs: reloadTimeoutMs,
  });
  process.stdout.write(options.json === true ? `${JSON.stringify(report)}\n` : readable(report));
  return 0;
}

function readable({ changes }: ReloadReport): string {
  if (changes.length === 0) return "Nothing changed.\n";
  return `${changes.map(({ what, name, how }) => `${what} ${name}: ${how}`).join("\n")}\n`;
}
