/** Front door of `tideway/cli`: the command line as a function from arguments to an exit code. */
export { run } from "./run.ts";
