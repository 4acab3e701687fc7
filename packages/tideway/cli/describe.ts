/** How an error is told to a person: an operator's errors as their lines, anything else as a fault of ours, with its stack. */
import { OperatorError } from "@tideway/base";
import { ConfigurationFault } from "../config/index.ts";

export function describe(error: unknown): string {
  if (error instanceof ConfigurationFault) return error.faults.map((fault) => fault.format()).join("\n\n");
  if (error instanceof OperatorError) return error.format();
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
