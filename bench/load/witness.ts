/**
 * What one client of a room has received, kept by the client and never asked of the server. The room is told numbers, one after the
 * other from 1 on, by a speaker that says each until it is confirmed.
 */
export class Witness {
  /** Numbers that came again. */
  repeated = 0;
  /** Numbers in whose place a later one came. */
  skipped = 0;
  /** The last number. */
  last = 0;
  /** When it was told last that a process of the application holds it, in milliseconds since the epoch. */
  hereAt = 0;
  /** How often its line was lost. */
  dropped = 0;
  /** Lines after a lost one that did not take up where it was. */
  unrecovered = 0;
  /** Longest from the beginning of an attempt to connect again to its success. */
  slowestReturnMs = 0;

  post(number: number): void {
    if (number <= this.last) {
      this.repeated++;
      return;
    }
    this.skipped += number - this.last - 1;
    this.last = number;
  }

  here(): void {
    this.hereAt = Date.now();
  }

  returned(attemptMs: number, recovered: boolean): void {
    this.slowestReturnMs = Math.max(this.slowestReturnMs, attemptMs);
    if (!recovered) this.unrecovered++;
  }
}
