// Times of the history, in the user's own time zone.
import type { ChromeVisit } from "../bindings";

const DAY = 24 * 3600;

/** Visits of one day. */
export interface Day { name: string; visits: ChromeVisit[] }

const midnight = (date: Date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());

/** Names a day: “Today”, “Yesterday”, or its date. */
export const nameOf = (at: number, now = new Date()) => {
  const day = midnight(new Date(at * 1000));
  const ago = Math.round((midnight(now).getTime() - day.getTime()) / (DAY * 1000));
  const date = day.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", year: day.getFullYear() === now.getFullYear() ? undefined : "numeric" });
  return ago === 0 ? `Today, ${date}` : ago === 1 ? `Yesterday, ${date}` : date;
};

/** Groups visits by day; they come newest first. */
export const byDay = (visits: ChromeVisit[], now = new Date()): Day[] => {
  const days: Day[] = [];
  for (const visit of visits) {
    const name = nameOf(visit.at, now);
    if (days.at(-1)?.name !== name) days.push({ name, visits: [] });
    days.at(-1)?.visits.push(visit);
  }
  return days;
};

export const timeOf = (at: number) => new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

/** Ranges that can be shown or deleted: their names, and their limits in seconds since 1970. */
export const RANGES = ["Everything", "Last hour", "Today", "Last 7 days", "Last 30 days", "Older than 30 days", "Older than 6 months"] as const;
export type Range = (typeof RANGES)[number];

export const limitsOf = (range: Range, now = new Date()): { since: number | null; until: number | null } => {
  const seconds = Math.floor(now.getTime() / 1000);
  const today = Math.floor(midnight(now).getTime() / 1000);
  switch (range) {
    case "Everything": return { since: null, until: null };
    case "Last hour": return { since: seconds - 3600, until: null };
    case "Today": return { since: today, until: null };
    case "Last 7 days": return { since: today - 6 * DAY, until: null };
    case "Last 30 days": return { since: today - 29 * DAY, until: null };
    case "Older than 30 days": return { since: null, until: today - 30 * DAY };
    case "Older than 6 months": return { since: null, until: today - 182 * DAY };
  }
};

/** Host of an address, without `www.`. */
export const hostOf = (url: string) => {
  try { return new URL(url).host.replace(/^www\./, ""); } catch { return url; }
};
