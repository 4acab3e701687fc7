/**
 * Calling what the user wrote. A fault in it must not keep the rest of a batch from being handled, and must not be
 * swallowed either: it is thrown again where Node throws what nobody catches.
 *
 * It is thrown two turns later, when the batch with `done` has left. Were it sooner, a process that dies of it would
 * never have handled the event, the hub would give the event to the next process, and that would die as well.
 */
import type { EventEmitter } from "node:events";
import { onlyListener } from "./listener-table.ts";

type Callable = (...args: never[]) => unknown;

/** Calls `run`; what it throws, or what its promise rejects with, becomes an uncaught exception or rejection later. */
export function callUser<F extends Callable>(self: unknown, run: F, args: Parameters<F>): void {
  try {
    const result: unknown = Reflect.apply(run, self, args);
    if (result instanceof Promise) result.catch((error: unknown) => later(() => void Promise.reject(error)));
  } catch (error) {
    later(() => {
      throw error;
    });
  }
}

/** Calls every listener of `name`, each on its own. Says whether there were any. */
export function callListeners(emitter: EventEmitter, name: string, args: readonly unknown[]): boolean {
  const only = onlyListener(emitter, name);
  if (only !== null) {
    callUser(emitter, only, args as never[]);
    return true;
  }
  const listeners = emitter.rawListeners(name);
  for (const listener of listeners) callUser(emitter, listener as Callable, args as never[]);
  return listeners.length > 0;
}

function later(run: () => void): void {
  setImmediate(() => setImmediate(run));
}

export type Next<E> = (error?: E) => void;

/**
 * Runs middlewares one after the other; `done` gets the first error, or nothing. A middleware that throws, or whose
 * promise rejects, refuses with `fault`; what it threw is reported like any other fault of the user's code.
 */
export function runMiddlewares<E extends Error, S>(
  middlewares: readonly ((subject: S, next: Next<E>) => unknown)[],
  subject: S,
  fault: () => E,
  done: (error?: E) => void,
): void {
  const list = [...middlewares];
  const step = (index: number) => {
    const middleware = list[index];
    if (middleware === undefined) {
      done();
      return;
    }
    let called = false;
    const next: Next<E> = (error) => {
      if (called) return;
      called = true;
      if (error) done(error);
      else step(index + 1);
    };
    const failed = (error: unknown) => {
      next(fault());
      throw error;
    };
    callUser(undefined, () => {
      try {
        const result = middleware(subject, next);
        return result instanceof Promise ? result.catch(failed) : undefined;
      } catch (error) {
        return failed(error);
      }
    }, []);
  };
  step(0);
}
