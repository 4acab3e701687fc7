/**
 * Secrets that Tideway makes for itself and keeps with the data: made at the first use, readable by their owner only.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OperatorError } from "@tideway/base";

const secretBytes = 32;

/** The secret of that name in the data directory, as text. Throws START_DATA_UNUSABLE when it can be neither read nor made. */
export function secretOf(dataDirectory: string, name: string): string {
  const file = join(dataDirectory, name);
  try {
    if (!existsSync(file)) {
      // A first start asks for secrets before it has taken the folder.
      mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
      writeFileSync(file, randomBytes(secretBytes).toString("base64url"), { mode: 0o600, flag: "wx" });
    }
    const secret = readFileSync(file, "utf8").trim();
    if (secret.length >= secretBytes) return secret;
    throw new Error(`it holds ${secret.length} characters`);
  } catch (cause) {
    throw new OperatorError("START_DATA_UNUSABLE", {
      where: file,
      seen: cause instanceof Error ? cause.message : String(cause),
      allowed: `a secret of ${secretBytes} characters or more`,
      hint: "Remove the file, so that a new one is made, or let this user read it.",
      cause,
    });
  }
}
