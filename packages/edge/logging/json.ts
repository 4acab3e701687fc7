/**
 * A request as one line of JSON, with the names that the rest of the log has (`level`, `time`, `pid`, `name`, `msg`). Built as
 * text, since an object that a logger serialises costs ten times as much; only ASCII leaves, and whatever a client sends stays in its string.
 */
import { isUtf8 } from "node:buffer";
import type { AccessLogOptions, AccessRecord } from "./contract.ts";
import { isPlain } from "./plain.ts";
import { type Shown, showFields } from "./shown.ts";
import { IsoStamp } from "./stamps.ts";

/** A JSON string (RFC 8259 §7) of ASCII alone. */
export function quoted(text: string): string {
  if (isPlain(text)) return `"${text}"`;
  return JSON.stringify(text).replace(
    /[\x7f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A field's value came as bytes, one character each: what is UTF-8 is shown as what it says. */
function quotedBytes(value: string): string {
  if (isPlain(value)) return `"${value}"`;
  const bytes = Buffer.from(value, "latin1");
  return quoted(isUtf8(bytes) ? bytes.toString() : value);
}

/** With one decimal, as a number: dividing and printing a fraction costs more than the rest of the line's numbers. */
function tenths(ms: number): string {
  const all = Math.round(ms * 10);
  const whole = Math.floor(all / 10);
  return all === whole * 10 ? String(whole) : `${whole}.${all - whole * 10}`;
}

/** Makes the function that makes the lines. */
export function jsonLines(options: Omit<AccessLogOptions, "write" | "format">): (record: AccessRecord) => string {
  const stamp = new IsoStamp();
  const queries = options.queries === true;
  const shown: Shown = { agent: undefined, referer: undefined, authorization: undefined };
  const afterTime = `","pid":${process.pid},"name":"tideway","id":`;
  return (record) => {
    const { version, durationMs, headMs, route, head } = record;
    showFields(head, queries, shown);
    let line = `{"level":"info","time":"${stamp.of(record.at + durationMs)}${afterTime}${quoted(record.id)},"address":${quoted(record.address)}`;
    if (record.peer !== record.address) line += `,"peer":${quoted(record.peer)}`;
    line += `,"method":${quoted(record.method)},"host":${quoted(record.host)},"path":${quoted(record.path)}`;
    if (queries && head !== null && head.query !== "") line += `,"query":${quoted(head.query)}`;
    if (version !== 0) line += version === 11 ? ',"version":"1.1"' : `,"version":"${versionText(version)}"`;
    line += `,"status":${record.status},"in":${record.bytesIn},"out":${record.bytesOut},"ms":${tenths(durationMs)}`;
    if (headMs >= 0) line += `,"headMs":${tenths(headMs)}`;
    if (route !== "") line += `,"route":${quoted(route)}`;
    if (record.service !== "") line += `,"service":${quoted(record.service)}`;
    if (record.instance !== "") line += `,"instance":${quoted(record.instance)}`;
    if (record.trace !== "") line += `,"trace":${quoted(record.trace)}`;
    if (record.reason !== "") line += `,"reason":${quoted(record.reason)}`;
    if (shown.referer !== undefined) line += `,"referer":${quotedBytes(shown.referer)}`;
    if (shown.agent !== undefined) line += `,"agent":${quotedBytes(shown.agent)}`;
    if (record.fault === "") return `${line},"msg":"request"}\n`;
    const section = options.sectionOf?.(record.fault) ?? "";
    line += `,"rule":${quoted(record.fault)}`;
    if (section !== "") line += `,"section":${quoted(section)}`;
    return `${line},"msg":"request refused"}\n`;
  };
}

/** `1.1` of 11. */
export function versionText(version: number): string {
  return `${Math.floor(version / 10)}.${version % 10}`;
}
