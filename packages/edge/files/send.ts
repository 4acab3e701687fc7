/**
 * Sends pieces of one file as the body of an exchange: at the client's pace, in large reads, one ahead of a client that takes them. Owns the
 * descriptor from its opening to its closing, whatever happens to the client.
 */
import type { FileHandle } from "node:fs/promises";
import type { Exchange } from "@tideway/base";

/** Bytes given as they are (heads of parts), or bytes of the file: first and last, both included. */
export type Piece = Uint8Array | { readonly first: number; readonly last: number };

const READ_BYTES = 256 * 1024;

export class FileSender {
  readonly #exchange: Exchange;
  readonly #file: FileHandle;
  readonly #pieces: Piece[];
  readonly #onError: (error: Error) => void;
  /** Position in the first piece, when that is of the file. */
  #offset = -1;
  #reading = false;
  /** Read, and waiting until the client takes it. */
  #ready: Buffer | null = null;
  #waiting = false;
  /** The client has taken what it was made to wait for: one that never does is not worth a read ahead. */
  #taking = false;
  #over = false;
  /** Handed to the exchange, and ours again when it says that it has drained. */
  #lent: Buffer | null = null;
  /** Whole buffer for the next read. */
  #spare: Buffer | null = null;

  constructor(exchange: Exchange, file: FileHandle, pieces: readonly Piece[], onError: (error: Error) => void) {
    this.#exchange = exchange;
    this.#file = file;
    this.#pieces = [...pieces];
    this.#onError = onError;
  }

  /** Goes on as far as it can: at the start, after a read, and when the client has taken what was written. */
  run(): void {
    while (!this.#over && !this.#waiting) {
      const piece = this.#pieces[0];
      if (this.#ready !== null) {
        const chunk = this.#ready;
        this.#ready = null;
        this.#write(chunk);
      } else if (piece === undefined && !this.#reading) {
        this.#finish();
        this.#exchange.end();
      } else if (piece instanceof Uint8Array && !this.#reading) {
        this.#pieces.shift();
        this.#write(piece);
      } else {
        break;
      }
    }
    this.#readAhead();
  }

  drained(): void {
    this.#waiting = false;
    this.#taking = true;
    this.#spare = this.#lent;
    this.#lent = null;
    this.run();
  }

  /** The client has gone: nothing more is read, and the descriptor is closed. */
  cancel(): void {
    if (!this.#over) this.#finish();
  }

  #write(chunk: Uint8Array): void {
    this.#waiting = !this.#exchange.write(chunk);
    // Only after "drained" is it certain that nobody holds the bytes any more; otherwise the next read takes new ones.
    this.#lent = this.#waiting && chunk.buffer.byteLength === READ_BYTES ? Buffer.from(chunk.buffer) : null;
  }

  #readAhead(): void {
    const piece = this.#pieces[0];
    if (this.#over || this.#reading || this.#ready !== null || piece === undefined || piece instanceof Uint8Array)
      return;
    if (this.#waiting && !this.#taking) return;
    if (this.#offset < 0) this.#offset = piece.first;
    const left = piece.last - this.#offset + 1;
    const buffer = this.#spare ?? Buffer.allocUnsafeSlow(Math.min(left, READ_BYTES));
    this.#spare = null;
    this.#reading = true;
    this.#file.read(buffer, 0, Math.min(left, buffer.length), this.#offset).then(
      ({ bytesRead }) => this.#onRead(buffer, bytesRead, piece.last),
      (error: Error) => this.#onFailure(error),
    );
  }

  #onRead(buffer: Buffer, bytesRead: number, last: number): void {
    this.#reading = false;
    if (this.#over) {
      this.#close();
      return;
    }
    if (bytesRead === 0) {
      this.#onFailure(new Error("the file became shorter while it was sent"));
      return;
    }
    this.#offset += bytesRead;
    if (this.#offset > last) {
      this.#pieces.shift();
      this.#offset = -1;
    }
    this.#ready = buffer.subarray(0, bytesRead);
    this.run();
  }

  /** Part of the body is out, or promised: only a broken connection tells the client that the rest is missing. */
  #onFailure(error: Error): void {
    this.#reading = false;
    if (this.#over) {
      this.#close();
      return;
    }
    this.#finish();
    this.#onError(error);
    this.#exchange.abort();
  }

  #finish(): void {
    this.#over = true;
    this.#ready = null;
    this.#spare = null;
    // A read under way still uses the descriptor; it closes it when it is back.
    if (!this.#reading) this.#close();
  }

  #close(): void {
    this.#file.close().catch(this.#onError);
  }
}
