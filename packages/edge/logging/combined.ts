/**
 * A request as one line of the Combined format, byte for byte as nginx writes its `combined`:
 *
 *     $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"
 *
 * What is missing is `-`; quotes, backslashes, control characters and bytes above ASCII are `\xHH`. Where Tideway knows
 * less: the path is as it was normalised, a refused head's request line is `-`, and bodies are counted without their chunks' framing.
 */
import type { AccessLogOptions, AccessRecord } from "./contract.ts";
import { versionText } from "./json.ts";
import { isPlain } from "./plain.ts";
import { type Shown, showFields } from "./shown.ts";
import { LocalStamp } from "./stamps.ts";

function escaped(value: string): string {
  if (isPlain(value)) return value;
  return value.replace(/[^ !#-[\]-~]/g, (char) => {
    return `\\x${(char.charCodeAt(0) & 0xff).toString(16).toUpperCase().padStart(2, "0")}`;
  });
}

const orDash = (value: string | undefined): string => (value === undefined ? "-" : escaped(value));

/** The name of Basic credentials (RFC 7617 §2), which nobody has checked; undefined when there are none. */
export function remoteUser(authorization: string | undefined): string | undefined {
  const encoded = authorization === undefined ? null : /^basic +([A-Za-z0-9+/]+)=*$/i.exec(authorization);
  if (encoded === null) return undefined;
  const credentials = Buffer.from(encoded[1]!, "base64").toString("latin1");
  const colon = credentials.indexOf(":");
  return colon > 0 ? credentials.slice(0, colon) : undefined;
}

/** Makes the function that makes the lines. */
export function combinedLines(options: Omit<AccessLogOptions, "write" | "format">): (record: AccessRecord) => string {
  const stamp = new LocalStamp();
  const queries = options.queries === true;
  const shown: Shown = { agent: undefined, referer: undefined, authorization: undefined };
  return (record) => {
    const { method, version, head } = record;
    showFields(head, queries, shown);
    const target = escaped(queries && head !== null ? record.path + head.query : record.path);
    const asked = method === "" ? "-" : `${escaped(method)} ${target} HTTP/${versionText(version)}`;
    const status = record.status < 100 ? String(record.status).padStart(3, "0") : record.status;
    const user = orDash(remoteUser(shown.authorization));
    const who = `${escaped(record.address)} - ${user} [${stamp.of(record.at + record.durationMs)}]`;
    return `${who} "${asked}" ${status} ${record.bytesOut} "${orDash(shown.referer)}" "${orDash(shown.agent)}"\n`;
  };
}
