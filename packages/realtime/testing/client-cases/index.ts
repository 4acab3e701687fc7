export { clientCases, runCase } from "./cases.ts";
export { servePage } from "./page.ts";
export { caseOptions, serveCases } from "./server.ts";
export type { Tools } from "./visit.ts";
