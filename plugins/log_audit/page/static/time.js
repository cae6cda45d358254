// Times in the zone that the reader has chosen; days and months are always those of the business zone.

let zone = "UTC";
const formats = new Map();

export function useZone(name) {
  zone = name;
}

function format(options, name = zone) {
  const key = JSON.stringify([name, options]);
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat("en-CA", { timeZone: name, hourCycle: "h23", ...options }));
  }
  return formats.get(key);
}

const DAY = { year: "numeric", month: "2-digit", day: "2-digit" };
const MINUTE = { hour: "2-digit", minute: "2-digit" };

function parts(ms, options) {
  return Object.fromEntries(format(options).formatToParts(ms).map(({ type, value }) => [type, value]));
}

export function day(ms) {
  const p = parts(ms, DAY);
  return `${p.year}-${p.month}-${p.day}`;
}

export function minute(ms) {
  const p = parts(ms, MINUTE);
  return `${p.hour}:${p.minute}`;
}

/** "2026-11-20 09:00 JST" */
export const moment = (ms) => `${day(ms)} ${minute(ms)} ${zoneName(ms)}`;

/** A window, told as short as it can be without doubt. */
export function span(start, end) {
  const second = day(start) === day(end) ? minute(end) : `${day(end)} ${minute(end)}`;
  return `${day(start)} ${minute(start)} to ${second} ${zoneName(end)}`;
}

export function zoneName(ms) {
  if (zone === "Asia/Tokyo") return "JST";
  const p = Object.fromEntries(
    format({ timeZoneName: "short" }).formatToParts(ms).map(({ type, value }) => [type, value]),
  );
  return p.timeZoneName;
}

/** "3 hours ago" */
export function ago(ms, now) {
  const minutes = Math.max(0, Math.round((now - ms) / 60_000));
  if (minutes < 1) return "just now";
  if (minutes < 90) return `${minutes} min ago`;
  if (minutes < 48 * 60) return `${Math.round(minutes / 60)} h ago`;
  return `${Math.round(minutes / 60 / 24)} days ago`;
}

/** The day key so many days later. */
export function shift(key, days) {
  const at = new Date(`${key}T00:00:00Z`);
  at.setUTCDate(at.getUTCDate() + days);
  return at.toISOString().slice(0, 10);
}

/** The month key so many months later. */
export function shiftMonth(key, months) {
  const [year, month] = key.split("-").map(Number);
  const count = year * 12 + month - 1 + months;
  return `${Math.floor(count / 12)}-${String((count % 12) + 1).padStart(2, "0")}`;
}

const UTC_MONTH = new Intl.DateTimeFormat("en", { month: "short", timeZone: "UTC" });
const UTC_WEEKDAY = new Intl.DateTimeFormat("en", { weekday: "short", timeZone: "UTC" });

export const monthName = (key) => UTC_MONTH.format(new Date(`${key}-01T00:00:00Z`));
export const weekday = (key) => UTC_WEEKDAY.format(new Date(`${key}T00:00:00Z`));
