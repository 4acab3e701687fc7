/**
 * For tests: a reader of HTTP/1.1 as careless as real ones have been, in whatever way it is told. What we write must mean to
 * all of them what it means to us. Never imported by running code.
 */
import fc from "fast-check";

/** Ways in which readers are careless. Each has been somebody's hole. */
export const careless = fc.record({
  /** LF, or CR alone, ends a line as well. */
  lineEnd: fc.constantFrom(/\r\n/g, /\r?\n/g, /\r\n|\r|\n/g),
  /** What is trimmed off names and values. */
  trim: fc.constantFrom(/^[ \t]+|[ \t]+$/g, /^[\s\0]+|[\s\0]+$/g, /^[\0-\x20\x7f-\xa0]+|[\0-\x20\x7f-\xa0]+$/g),
  /** `_` is taken for `-`, as in CGI. */
  underscores: fc.boolean(),
  /** A coding is known by its last element, by any, or by holding the word. */
  coding: fc.constantFrom(/(?:^|,)\s*chunked\s*$/i, /(?:^|,)\s*chunked\s*(?:,|$)/i, /chunked/i),
  /** Which of several lengths counts, and whether one counts beside an encoding. */
  length: fc.constantFrom("first", "last"),
  lengthBeforeEncoding: fc.boolean(),
});
type Careless = typeof careless extends fc.Arbitrary<infer T> ? T : never;

interface Reading {
  readonly start: string;
  readonly body: string;
}

/** Reads a stream of messages in a careless way: start lines and bodies. */
export function readCarelessly(wire: string, how: Careless): Reading[] {
  const readings: Reading[] = [];
  for (let at = 0; at < wire.length; ) {
    const lines: string[] = [];
    for (;;) {
      how.lineEnd.lastIndex = at;
      const end = how.lineEnd.exec(wire);
      if (end === null) return [...readings, { start: `unfinished ${wire.slice(at)}`, body: "" }];
      const text = wire.slice(at, end.index);
      at = how.lineEnd.lastIndex;
      if (text === "") break;
      lines.push(text);
    }
    const named = (wanted: string): string[] =>
      lines.slice(1).flatMap((text) => {
        const colon = text.indexOf(":");
        const raw = text.slice(0, colon).toLowerCase().replace(how.trim, "");
        const name = how.underscores ? raw.replaceAll("_", "-") : raw;
        return name === wanted ? [text.slice(colon + 1).replace(how.trim, "")] : [];
      });
    const lengths = named("content-length");
    const isChunked = named("transfer-encoding").some((text) => how.coding.test(text));
    if (isChunked && !(how.lengthBeforeEncoding && lengths.length > 0)) {
      let body = "";
      for (;;) {
        const size = /^([0-9a-f]+)[^\n]*\n/i.exec(wire.slice(at, at + 40));
        if (size === null) return [...readings, { start: "broken chunk", body: "" }];
        const count = Number.parseInt(size[1]!, 16);
        at += size[0].length;
        if (count === 0) break;
        body += wire.slice(at, at + count);
        at += count + 2;
      }
      at = wire.indexOf("\r\n", at) === at ? at + 2 : wire.indexOf("\r\n\r\n", at) + 4;
      readings.push({ start: lines[0]!, body });
    } else {
      const count = Number.parseInt((how.length === "first" ? lengths[0] : lengths.at(-1)) ?? "0", 10);
      readings.push({ start: lines[0]!, body: wire.slice(at, at + count) });
      at += count;
    }
  }
  return readings;
}
