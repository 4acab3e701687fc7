/** A point in time as a person says it, kept up to date by one clock for the whole page. */
import { signal } from "@preact/signals";

const TICK_MS = 15_000;
const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now();
}, TICK_MS);

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

export function RelativeTime({ at }: { at: string }) {
  const time = new Date(at);
  return (
    <time dateTime={at} title={full.format(time)}>
      {words(time, now.value)}
    </time>
  );
}

function words(time: Date, nowMs: number): string {
  const age = nowMs - time.getTime();
  if (age < 45 * SECOND) return "just now";
  if (age < HOUR) return `${Math.max(1, Math.round(age / MINUTE))} min ago`;
  if (age < DAY) return `${Math.round(age / HOUR)} h ago`;
  return age < 6 * DAY ? weekday.format(time) : date.format(time);
}
