/** Owns the bound on requests that are under way at one time, such as those of a route. */
import { assert } from "@tideway/base";

export class RequestsBound {
  readonly max: number;
  #active = 0;

  constructor(max: number) {
    this.max = max;
  }

  get active(): number {
    return this.#active;
  }

  /** False when there are as many as may be; else the request counts until `leave`. */
  enter(): boolean {
    if (this.#active >= this.max) return false;
    this.#active++;
    return true;
  }

  /** Once for each `enter` that was true. */
  leave(): void {
    assert(this.#active > 0, "a request leaves once");
    this.#active--;
  }
}
