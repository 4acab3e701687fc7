/** The stock client through its whole API: the cases by name, and how one is run, in Node or in a page. */
import { eventCases } from "./events.ts";
import { lineCases } from "./lines.ts";
import { type ClientCase, type Tools, Visit } from "./visit.ts";

export const clientCases: Readonly<Record<string, ClientCase>> = { ...lineCases, ...eventCases };

/** Runs one case; resolves with nothing, or rejects with why it failed. */
export async function runCase(name: string, tools: Tools): Promise<void> {
  const visit = new Visit(tools);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("not done within 15 s")), 15_000);
  });
  try {
    await Promise.race([clientCases[name]!(visit), late]);
  } finally {
    clearTimeout(timer);
    visit.close();
  }
}
