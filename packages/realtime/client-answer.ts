/** One client's answer to one emit, for the callback that the user gave. */
import type { AnswerCollector } from "./session.ts";
import { callUser } from "./user-code.ts";

/** With a time-out the callback gets `(error, ...answer)`, without one `(...answer)` and, when the client left, nothing. */
export function collectAnswer(
  self: object,
  done: (...args: never[]) => unknown,
  timeoutMs: number | undefined,
): AnswerCollector {
  let answered = false;
  return {
    onAnswer: (args) => {
      answered = true;
      callUser(self, done, (timeoutMs === undefined ? args : [null, ...args]) as never[]);
      return true;
    },
    onAnswered: (missing) => {
      if (answered || timeoutMs === undefined) return;
      const text = missing > 0 && timeoutMs > 0 ? "operation has timed out" : "socket has been disconnected";
      callUser(self, done, [new Error(text)] as never[]);
    },
  };
}
