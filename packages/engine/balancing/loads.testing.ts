/** For this room's tests: pools of hosts named "a", "b", "c" …, and what a policy makes of them. Never imported by running code. */
import { SeededRandom } from "@tideway/base/testing";
import {
  type Balance,
  createPolicy,
  type Health,
  Load,
  onDrain,
  onEjected,
  onProbe,
  defaultHealthRules as rules,
} from "./index.ts";

/** Three hosts, all up since time 0. */
export function pool(weights: readonly number[] = [1, 1, 1]): Load[] {
  return weights.map((weight, i) => {
    const load = new Load("abcdefgh"[i]!, weight, 0);
    load.health = onProbe(load.health, true, 0, rules);
    return load;
  });
}

/** Sets one property of each. */
export function set(loads: readonly Load[], property: "active" | "activeMax" | "upgraded", ...values: number[]): void {
  for (const [i, value] of values.entries()) loads[i]![property] = value;
}

/** Who gets `count` requests, none of which stays. */
export function picks(balance: Balance, loads: readonly Load[], count: number, now = 0): string {
  const policy = createPolicy(balance, new SeededRandom(1));
  let out = "";
  for (let i = 0; i < count; i++) out += policy.pick(loads, now, "key", [])?.id ?? "-";
  return out;
}

/** How many of the picks each of "a", "b", "c" … got. */
export function shares(picked: string, loads: readonly Load[]): number[] {
  return loads.map(({ id }) => [...picked].filter((each) => each === id).length);
}

const up = onProbe(new Load("x", 1, 0).health, true, 0, rules);

/** Down until a probe or a trial, which is not due in these tests. */
export const down: Health = onEjected(up, 0, { ...rules, backoffMs: 1e9, backoffMaxMs: 1e9 }, "unanswered");
export const draining: Health = onDrain(up, 0);
