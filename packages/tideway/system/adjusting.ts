/**
 * What `tideway instance` does to one instance, of a service of whatever protocol. Owns what is refused, and the words for it;
 * what draining means is the service's own.
 */
import { OperatorError } from "@tideway/base";
import type { Adjustment } from "../console/index.ts";
import type { Log } from "./logs.ts";

/** The slice of a service that this needs. */
export interface Adjustable {
  status(): { readonly instances: readonly { readonly id: string }[] };
  setWeight(id: string, weight: number): boolean;
  drain(id: string, done: () => void): void;
  undrain(id: string): boolean;
}

/** Holds until the next start, or until a reload that says something else of the instance. `services` have instances. */
export function adjust(
  services: ReadonlyMap<string, Adjustable>,
  name: string,
  instance: string,
  how: Adjustment,
  log: Log,
): void {
  const service = services.get(name);
  if (service === undefined) throw refusal(name, instance, "no service with instances", services.keys());
  const ids = service.status().instances.map(({ id }) => id);
  if (!ids.includes(instance)) throw refusal(name, instance, "no such instance", ids);
  if (how === "drain") service.drain(instance, () => log.info({ service: name, instance }, "drained"));
  else if (how !== "undrain") service.setWeight(instance, how.weight);
  else if (!service.undrain(instance)) throw refusal(name, instance, "an instance that does not drain", []);
}

function refusal(name: string, instance: string, seen: string, allowed: Iterable<string>): OperatorError {
  return new OperatorError("CONTROL_REFUSED", {
    where: `tideway instance ${name} ${instance}`,
    seen,
    allowed: [...allowed].join(" | ") || "none",
    hint: "See tideway status for services and instances.",
  });
}
