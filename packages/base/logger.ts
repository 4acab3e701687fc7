/**
 * What the rooms need of a logger: pino's shape, so that pino itself fits, and nothing below `tideway/` imports it.
 * `fields` is plain data; secrets (cookies, tokens, passwords) never go in.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Discards everything: the default of a library that was given no logger. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
