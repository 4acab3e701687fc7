/**
 * From what a person wrote to the plan that the system runs: checked across keys, paths made absolute, frozen, and with
 * the origin of every value. Owns the meaning of the configuration; opens no port and starts nothing.
 */
import { dirname, resolve } from "node:path";
import type { Route, RoutingFault, RoutingTable } from "@tideway/engine/routing";
import { explainIssues, formatPath, type Issue } from "./issues.ts";
import { type AnyService, configSchema, type EffectiveConfig, type ServiceKind, serviceKinds } from "./schema.ts";

/** Where a value of the plan came from. */
export type Origin = "file" | "default" | "environment PORT";

export interface PlanRow {
  readonly path: string;
  readonly value: unknown;
  readonly origin: Origin;
}

export interface Plan {
  /** Absolute path of the configuration's file. */
  readonly file: string;
  /** Its folder: what relative paths are relative to. */
  readonly root: string;
  readonly dataDirectory: string;
  readonly listen: EffectiveConfig["listen"];
  readonly services: ReadonlyMap<string, AnyService>;
  readonly routes: RoutingTable;
  readonly names: EffectiveConfig["names"];
  readonly console: EffectiveConfig["console"];
  readonly log: EffectiveConfig["log"];
  readonly rows: readonly PlanRow[];
}

export type PlanResult =
  | { readonly ok: true; readonly plan: Plan }
  | { readonly ok: false; readonly issues: readonly Issue[] };
