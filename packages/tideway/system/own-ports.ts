/**
 * A reload that wants a port which Tideway itself holds, for something else: "taken" is true and of no help. Owns the words
 * that are. A port is not handed over: what is new must be open before what is old is closed, and no two may have it.
 */
import { OperatorError } from "@tideway/base";
import type { SystemAddresses } from "./addresses.ts";

/** The error as it is, unless the port that is in use is one of ours. */
export function namingOwn(error: unknown, { listeners, streams, console, names }: SystemAddresses): unknown {
  if (!(error instanceof OperatorError) || error.code !== "START_PORT_IN_USE") return error;
  const wanted = portOf(error.details.where);
  const own: [port: number, what: string][] = [
    ...listeners.map(({ host, port }): [number, string] => [port, `the listener at ${host}:${port}`]),
    ...streams.map(({ address, service }): [number, string] => [portOf(address), `${service} at ${address}`]),
  ];
  if (console !== null) own.push([Number(new URL(console.address).port), `the console at ${console.address}`]);
  if (names !== null) own.push([portOf(names), `the name server at ${names}`]);
  const holder = own.find(([port]) => port === wanted);
  if (holder === undefined) return error;
  return new OperatorError("START_PORT_IN_USE", {
    where: error.details.where,
    seen: `it is Tideway's own: ${holder[1]} has it, and a reload hands no port over`,
    hint: "Remove that in one reload and add this in another, or stop Tideway and start it again.",
    cause: error,
  });
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}
