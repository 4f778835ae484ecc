// Moments and lengths as a person reads them, in the zone and the language of the browser.
import { signal } from "@preact/signals";

/** Moves once a second. */
export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);
addEventListener("visibilitychange", () => (now.value = Date.now()));

const DAY_MS = 86_400_000;
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const near = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

export const asMoment = (iso: string): string => moment.format(new Date(iso));
export const asDay = (iso: string): string => day.format(new Date(iso));
export const asHour = (iso: string): string => hour.format(new Date(iso));
export const asWeekday = (iso: string): string => weekday.format(new Date(iso));
export const dayOfMonth = (iso: string): number => new Date(iso).getDate();

/** `1:02:03` or `2:03`. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60].map((part) => String(part).padStart(2, "0"));
  const hours = Math.floor(seconds / 3600);
  return hours > 0 ? `${hours}:${parts.join(":")}` : `${Number(parts[0])}:${parts[1]}`;
}

/** `1 h 2 min`, for a screen reader and for lengths in text. */
export function length(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** How long until then: `in 3 days`, `4:59`. */
export function remaining(ms: number): string {
  if (ms >= 2 * DAY_MS) return `${Math.round(ms / DAY_MS)} days`;
  if (ms >= DAY_MS) return `1 day ${Math.floor((ms - DAY_MS) / 3_600_000)} h`;
  return clock(ms);
}

export function size(bytes: number): string {
  if (bytes < 1_000_000) return `${Math.round(bytes / 1000)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/** When it was, in a few letters; the whole on pointing at it. */
export function Ago({ at }: { at: string }) {
  const seconds = (Date.parse(at) - now.value) / 1000;
  const [value, unit] =
    seconds > -45
      ? ([0, "second"] as const)
      : seconds > -3000
        ? ([Math.round(seconds / 60), "minute"] as const)
        : seconds > -79_200
          ? ([Math.round(seconds / 3600), "hour"] as const)
          : ([Math.round(seconds / 86_400), "day"] as const);
  const text = value <= -7 && unit === "day" ? asDay(at) : near.format(value, unit);
  return (
    <time dateTime={at} title={whole.format(new Date(at))}>
      {text}
    </time>
  );
}

/** What remains until a moment, by the second. */
export function Countdown({ to, past }: { to: string; past: string }) {
  const ms = Date.parse(to) - now.value;
  return (
    <time class="digits" dateTime={to} title={whole.format(new Date(to))}>
      {ms > 0 ? remaining(ms) : past}
    </time>
  );
}

/** How long something has been going on. */
export function Since({ at }: { at: string }) {
  return <span class="digits">{clock(now.value - Date.parse(at))}</span>;
}
