import type { Backend } from "./backend.ts";
export function openOwnHub(_session: unknown, _options: unknown): Backend {
  throw new Error("hub");
}
