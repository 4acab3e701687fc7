/**
 * HTTP dates (RFC 9110 §5.6.7): written in the one form that may be sent, read in all three that may be received.
 * The century of a two-digit year depends on today, which the caller says.
 */
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const fixdate = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT$/;
const rfc850 = /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\d\d)-([A-Z][a-z]{2})-(\d\d) (\d\d):(\d\d):(\d\d) GMT$/;
const asctime = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})$/;

/** `atMs` is milliseconds since the epoch; "Sun, 06 Nov 1994 08:49:37 GMT". */
export function formatHttpDate(atMs: number): string {
  return new Date(atMs).toUTCString();
}

/** Milliseconds since the epoch; `undefined` for anything that is not a date. `nowMs` settles two-digit years. */
export function parseHttpDate(text: string, nowMs: number): number | undefined {
  let match = fixdate.exec(text);
  if (match !== null) return fromParts(Number(match[3]), match[2]!, match[1]!, match[4]!, match[5]!, match[6]!);
  match = asctime.exec(text);
  if (match !== null) return fromParts(Number(match[6]), match[1]!, match[2]!, match[3]!, match[4]!, match[5]!);
  match = rfc850.exec(text);
  if (match === null) return undefined;
  // A year that seems more than 50 years ahead is the most recent past year with those digits.
  const thisYear = new Date(nowMs).getUTCFullYear();
  let year = thisYear - (thisYear % 100) + Number(match[3]);
  if (year > thisYear + 50) year -= 100;
  return fromParts(year, match[2]!, match[1]!, match[4]!, match[5]!, match[6]!);
}

function fromParts(
  year: number,
  monthName: string,
  day: string,
  hour: string,
  minute: string,
  second: string,
): number | undefined {
  const month = months.indexOf(monthName);
  if (month === -1 || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined;
  const at = Date.UTC(year, month, Number(day), Number(hour), Number(minute), Number(second));
  return new Date(at - Number(second) * 1000).getUTCDate() === Number(day) ? at : undefined;
}
