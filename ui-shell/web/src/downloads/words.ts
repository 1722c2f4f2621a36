// Words about downloads: sizes, speed and the time that is left.
import type { ChromeDownload } from "../bindings";

/** Returns bytes as people read them. */
export const size = (bytes: number): string => {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) { bytes /= 1000; unit += 1; }
  return `${bytes.toFixed(unit && bytes < 10 ? 1 : 0)} ${units[unit]}`;
};

/** Returns seconds as people read them. */
export const duration = (seconds: number): string => {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 24 * 3600) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return "more than a day";
};

/** Speed of a download, measured between two reports at least half a second apart. */
export interface Speed { received: number; at: number; bytesPerSecond: number }

/** Returns the speed after another report. `now` in milliseconds. */
export const measured = (before: Speed | undefined, received: number, now: number): Speed => {
  if (!before || received < before.received) return { received, at: now, bytesPerSecond: 0 };
  const seconds = (now - before.at) / 1000;
  if (seconds < .5) return before;
  const latest = (received - before.received) / seconds;
  // The speed of the last few seconds, so that the figure can be read.
  const share = before.bytesPerSecond ? Math.min(1, seconds / 3) : 1;
  return { received, at: now, bytesPerSecond: before.bytesPerSecond * (1 - share) + latest * share };
};

const hostOf = (url: string): string => {
  try { return new URL(url).host; } catch { return ""; }
};

/** Returns the line below the name of a download. */
export const stateText = (download: ChromeDownload, speed: number): string => {
  const { state, received, total, error, endedAt } = download;
  const soFar = total ? `${size(received)} of ${size(total)}` : size(received);
  const ended = (): string => new Date(endedAt * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const words: Record<string, () => string> = {
    queued: () => "Waits: eight other files of this site are being downloaded",
    running: () => [soFar, speed && `${size(speed)}/s`, speed && total > received && `${duration((total - received) / speed)} left`].filter(Boolean).join(" · "),
    paused: () => `Paused · ${soFar}`,
    interrupted: () => (error ? `Interrupted, resumes by itself: ${error}` : `Resumes as soon as its site answers · ${soFar}`),
    done: () => [size(received), hostOf(download.url), ended()].filter(Boolean).join(" · "),
    failed: () => `Failed: ${error}`,
    cancelled: () => `Cancelled · ${ended()}`,
  };
  return words[state]?.() ?? "";
};
