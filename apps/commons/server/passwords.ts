/**
 * Passwords: argon2id (RFC 9106) through Node's crypto, kept as PHC strings. Owns the cost, the queue in front of it and
 * what makes a password unacceptable; knows nothing of accounts.
 */
import { type Argon2Parameters, argon2, randomBytes, timingSafeEqual } from "node:crypto";
import { ApiError } from "./errors.ts";

/** OWASP's choice for argon2id: 19 MiB, two passes; about 60 ms of one core. */
const MEMORY_KIB = 19_456;
const PASSES = 2;
const PARALLELISM = 1;
const TAG_BYTES = 32;
const SALT_BYTES = 16;

/** Each running one holds its memory and a thread of Node's pool of four; DNS and files need the others. */
const RUNNING_MAX = 2;
const WAITING_MAX = 64;

const PHC = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;

/** The most common passwords that are long enough to pass; guessing begins with these. */
const COMMON = new Set(
  (
    "password password1 password123 passw0rd p@ssw0rd 12345678 123456789 1234567890 0123456789 11111111 00000000 88888888 " +
    "87654321 987654321 12341234 123123123 1q2w3e4r 1q2w3e4r5t 1qaz2wsx qwertyui qwertyuiop qwerty12 qwerty123 q1w2e3r4 " +
    "asdfghjk asdfghjkl zxcvbnm1 abcd1234 abc12345 aa123456 a1234567 iloveyou iloveyou1 sunshine princess football baseball " +
    "superman trustno1 letmein1 welcome1 starwars computer michelle jennifer changeme whatever internet"
  ).split(" "),
);

export interface Passwords {
  hash(password: string): Promise<string>;
  /** With null, for an account that does not exist: takes as long as a real one and says false. */
  verify(hash: string | null, password: string): Promise<boolean>;
}

/** What is wrong with a new password beside its length; null when nothing is. */
export function passwordFault(password: string, name: string): string | null {
  const folded = password.toLowerCase();
  if (COMMON.has(folded)) return "This password is one of the first that anybody would guess.";
  if (folded === name.toLowerCase()) return "The password must not be the name.";
  if (new Set(folded).size < 3) return "Use more than two different characters.";
  return null;
}

export class Argon2Passwords implements Passwords {
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  /** Verified against in place of an account that does not exist. */
  readonly #nobody = encode(randomBytes(SALT_BYTES), randomBytes(TAG_BYTES));

  async hash(password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES);
    return encode(salt, await this.#derive(password, salt, MEMORY_KIB, PASSES, PARALLELISM, TAG_BYTES));
  }

  async verify(hash: string | null, password: string): Promise<boolean> {
    const match = PHC.exec(hash ?? this.#nobody);
    if (match === null) throw new Error("a stored password is not an argon2id PHC string");
    const [, memory, passes, parallelism, salt, tag] = match;
    const expected = Buffer.from(tag!, "base64");
    const derived = await this.#derive(
      password,
      Buffer.from(salt!, "base64"),
      Number(memory),
      Number(passes),
      Number(parallelism),
      expected.length,
    );
    return timingSafeEqual(derived, expected) && hash !== null;
  }

  async #derive(
    password: string,
    nonce: Buffer,
    memory: number,
    passes: number,
    parallelism: number,
    tagLength: number,
  ) {
    await this.#enter();
    try {
      // The same characters typed on different keyboards may differ in code points; NFKC makes them one.
      const message = password.normalize("NFKC");
      return await derive({ message, nonce, memory, passes, parallelism, tagLength });
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  async #enter(): Promise<void> {
    if (this.#running < RUNNING_MAX) {
      this.#running++;
      return;
    }
    if (this.#waiting.length === WAITING_MAX) throw new ApiError("BUSY", { retryAfterSeconds: 2 });
    await new Promise<void>((resolve) => {
      this.#waiting.push(() => {
        this.#running++;
        resolve();
      });
    });
  }
}

function derive(parameters: Argon2Parameters): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    argon2("argon2id", parameters, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}

function encode(salt: Buffer, tag: Buffer): string {
  const unpadded = (bytes: Buffer) => bytes.toString("base64").replace(/=+$/, "");
  return `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=${PARALLELISM}$${unpadded(salt)}$${unpadded(tag)}`;
}
