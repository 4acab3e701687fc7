/**
 * Node's `http`, past `import`: that makes each of a module's exports, and one of these is undici, which nobody here uses and
 * which takes a sixth of a start.
 */
export const { createServer, request } = process.getBuiltinModule("node:http");
