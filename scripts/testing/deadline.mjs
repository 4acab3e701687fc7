/**
 * Loaded into every test file's process. A test file must end by itself: what a test opened and did not close keeps its
 * process alive, and the run would wait for ever. This names what is open, and ends the process as a failure.
 */
import { after } from "node:test";

const leakLimitMs = Number(process.env.TEST_LEAK_LIMIT_MS ?? 10_000);
const fileLimitMs = 300_000;

function endAfter(limitMs, what) {
  // Unreferenced: it fires only in a process that something else keeps alive.
  setTimeout(() => {
    const open = process.getActiveResourcesInfo().filter((name) => name !== "PipeWrap");
    process.stderr.write(
      `${process.argv[1]}: ${what}. Still open: ${open.join(", ") || "nothing that Node can name"}\n`,
    );
    process.exit(1);
  }, limitMs).unref();
}

endAfter(fileLimitMs, `has not ended within ${fileLimitMs / 1000} s`);
after(() => endAfter(leakLimitMs, `its tests are done, but something that they opened keeps it alive`));
