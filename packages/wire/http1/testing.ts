/**
 * For tests: runs a decoder over bytes cut in any way and keeps what it told as a list of lines, body pieces joined, so
 * that the trail of a message must not depend on how its bytes arrived. Never imported by running code.
 */
import { limits } from "@tideway/base";
import type { HeadLimits } from "./contract.ts";
import { RequestDecoder } from "./request.ts";
import { ResponseDecoder } from "./response.ts";

/** `head GET /path?query host/authority 1.1 length=0 …`, `body …`, `end …`, `fault CODE`, `left n`. */
export type Trail = string[];

export function requestTrail(pieces: readonly Buffer[], headLimits: HeadLimits = limits): Trail {
  const trail = new Recorder();
  const decoder = new RequestDecoder(headLimits, {
    onHead(head, meta) {
      const flags = [
        head.upgrade && `upgrade=${head.upgrade}`,
        meta.keepAlive ? "" : "last",
        meta.expectContinue && "expects",
      ];
      const target = `${head.method} ${head.path}${head.query} ${head.host} ${head.authority} ${head.version} ${head.bodyLength}`;
      trail.line(`head ${target} ${JSON.stringify(head.fields)} ${flags.filter(Boolean).join(" ")}`.trim());
    },
    onBody: (chunk) => trail.body(chunk),
    onEnd: (trailers) => trail.line(`end ${JSON.stringify(trailers)}`),
    onFault: (fault) => trail.line(`fault ${fault.status} ${fault.code}`),
  });
  for (const piece of pieces) {
    let at = 0;
    while (at < piece.length && decoder.phase !== "failed") at = decoder.decode(piece, at);
  }
  if (decoder.phase === "head" || decoder.phase === "body") trail.line(`open ${decoder.phase}`);
  return trail.lines;
}

export interface ResponseCase {
  readonly method?: string;
  readonly upgradeAsked?: boolean;
  readonly eof?: boolean;
}

export function responseTrail(
  pieces: readonly Buffer[],
  how: ResponseCase = {},
  headLimits: HeadLimits = limits,
): Trail {
  const trail = new Recorder();
  const decoder = new ResponseDecoder(headLimits, {
    onInterim: (status, fields) => trail.line(`interim ${status} ${JSON.stringify(fields)}`),
    onHead(head) {
      const flags = [head.keepAlive ? "" : "last", head.upgrade ? "upgraded" : ""];
      const { status, version, bodyLength, contentLength, fields } = head;
      trail.line(
        `head ${status} ${version} ${bodyLength} ${contentLength} ${JSON.stringify(fields)} ${flags.filter(Boolean).join(" ")}`.trim(),
      );
    },
    onBody: (chunk) => trail.body(chunk),
    onEnd: (trailers) => trail.line(`end ${JSON.stringify(trailers)}`),
    onFault: (fault) => trail.line(`fault ${fault.status} ${fault.code}`),
  });
  decoder.begin(how.method ?? "GET", how.upgradeAsked ?? false);
  let left = 0;
  for (const piece of pieces) {
    const at = decoder.decode(piece, 0);
    if (decoder.phase === "idle") left += piece.length - at;
  }
  if (how.eof === true) decoder.eof();
  if (decoder.phase === "head" || decoder.phase === "body") trail.line(`open ${decoder.phase}`);
  if (left > 0) trail.line(`left ${left}`);
  return trail.lines;
}

class Recorder {
  readonly lines: Trail = [];

  line(text: string): void {
    this.lines.push(text);
  }

  body(chunk: Buffer): void {
    const last = this.lines.length - 1;
    const text = chunk.toString("latin1");
    if (this.lines[last]?.startsWith("body ") === true) this.lines[last] += text;
    else this.lines.push(`body ${text}`);
  }
}

export function bytes(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** One byte at a time. */
export function singly(buffer: Buffer): Buffer[] {
  return Array.from(buffer, (byte) => Buffer.from([byte]));
}

/** Cut in two, at every place. */
export function* halves(buffer: Buffer): Generator<Buffer[]> {
  for (let at = 1; at < buffer.length; at++) yield [buffer.subarray(0, at), buffer.subarray(at)];
}

/** Cut at the given places. */
export function cutAt(buffer: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.map((place) => place % Math.max(1, buffer.length)))].sort((a, b) => a - b);
  return [0, ...sorted]
    .map((start, i) => buffer.subarray(start, sorted[i] ?? buffer.length))
    .filter((piece) => piece.length > 0);
}

/** A spelling as a test's message shows it. */
export function show(text: string): string {
  return JSON.stringify(text.length > 70 ? `${text.slice(0, 60)}… (${text.length})` : text);
}
