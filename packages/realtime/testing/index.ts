/** For tests of other packages: servers and stock clients, the programs that they use, and the client's whole API. */
export { caseOptions, clientCases, runCase, serveCases, servePage, type Tools } from "./client-cases/index.ts";
export { type ClientOptions, next, type Reference as CasesServer, servers, transports } from "./counterparts.ts";
export { type Program, programs, sourceWith } from "./programs/index.ts";
