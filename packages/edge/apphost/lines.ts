/** Cuts a program's output into lines of bounded length. Knows nothing of what they say or where they go. */
import { StringDecoder } from "node:string_decoder";

const LINE_LENGTH_MAX = 8 * 1024;

export class LineSplitter {
  readonly #decoder = new StringDecoder("utf8");
  readonly #emit: (line: string) => void;
  #line = "";
  /** The line was cut: what follows up to its end is dropped. */
  #cut = false;

  constructor(emit: (line: string) => void) {
    this.#emit = emit;
  }

  write(chunk: Buffer): void {
    const text = this.#decoder.write(chunk);
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      this.#append(text.slice(start, end));
      this.#finish();
      start = end + 1;
    }
    this.#append(text.slice(start));
  }

  /** The output ended: what stands without a line end is a line too. */
  end(): void {
    this.#append(this.#decoder.end());
    if (this.#line !== "") this.#finish();
  }

  #append(text: string): void {
    if (this.#cut) return;
    this.#line += text;
    if (this.#line.length <= LINE_LENGTH_MAX) return;
    this.#line = `${this.#line.slice(0, LINE_LENGTH_MAX)}…`;
    this.#cut = true;
  }

  #finish(): void {
    const line = this.#line.endsWith("\r") ? this.#line.slice(0, -1) : this.#line;
    this.#line = "";
    this.#cut = false;
    if (line !== "") this.#emit(line);
  }
}
