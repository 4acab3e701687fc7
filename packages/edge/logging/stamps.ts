/** Times as logs write them, each second's text made once: a busy server writes ten thousand lines in it. */

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (value: number): string => String(value).padStart(2, "0");
const thousandths = Array.from({ length: 1_000 }, (_, at) => `${String(at).padStart(3, "0")}Z`);

/** `2026-01-01T00:00:00.000Z` (RFC 3339). */
export class IsoStamp {
  #second = Number.NaN;
  #text = "";

  /** `ms` since the Unix epoch; the text of the last second asked for is kept. */
  of(ms: number): string {
    const wall = Math.floor(ms);
    const second = Math.floor(wall / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = new Date(second * 1_000).toISOString().slice(0, -4);
    }
    return this.#text + thousandths[wall - second * 1_000]!;
  }
}

/** `01/Jan/2026:00:00:00 +0000`, in the machine's own zone, as nginx and Apache write it. */
export class LocalStamp {
  #second = Number.NaN;
  #text = "";

  of(ms: number): string {
    const second = Math.floor(ms / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = localText(new Date(second * 1_000));
    }
    return this.#text;
  }
}

function localText(date: Date): string {
  const east = -date.getTimezoneOffset();
  const zone = `${east < 0 ? "-" : "+"}${two(Math.floor(Math.abs(east) / 60))}${two(Math.abs(east) % 60)}`;
  const day = `${two(date.getDate())}/${months[date.getMonth()]}/${date.getFullYear()}`;
  return `${day}:${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${zone}`;
}
