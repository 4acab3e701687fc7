/** `tideway reference`: prints every key of the configuration, as `docs/configuration.md` has them. */
import { reference } from "../config/index.ts";

export async function printReference(): Promise<number> {
  process.stdout.write(reference());
  return 0;
}
