// The chrome's side of the bookmarks. The broker owns them; this asks it, and says when something has changed.
import type { ChromeBookmark, ChromeBookmarkAction } from "../bindings";
import { ask } from "../bridge";

/** Folders that are always there. */
export const BAR = 1;
export const OTHER = 2;
export const FIXED: ChromeBookmark[] = [
  { id: BAR, parent: 0, url: null, title: "Bookmarks bar", tags: [] },
  { id: OTHER, parent: 0, url: null, title: "Other bookmarks", tags: [] },
];

/** Makes a change. Returns the answer, whose `error` says why it was refused. */
export const change = (action: ChromeBookmarkAction) => ask("bookmarks", { action }, "bookmarks");

/** Lists bookmarks, in as many parts as they come. */
export const list = async (filter: { parent?: number; words?: string; url?: string; folders?: boolean }): Promise<ChromeBookmark[]> => {
  const all: ChromeBookmark[] = [];
  for (;;) {
    const { bookmarks, hasMore } = await change({ kind: "list", parent: filter.parent ?? null, words: filter.words ?? "", url: filter.url ?? "", folders: filter.folders ?? false, skip: all.length });
    all.push(...bookmarks);
    if (!hasMore || !bookmarks.length) return all;
  }
};

/** Returns the folders, with their depth. */
export const folders = async (): Promise<{ folder: ChromeBookmark; depth: number }[]> => {
  const all = await list({ folders: true });
  const found: { folder: ChromeBookmark; depth: number }[] = [];
  const add = (folder: ChromeBookmark, depth: number) => {
    found.push({ folder, depth });
    all.filter((one) => one.parent === folder.id).forEach((one) => add(one, depth + 1));
  };
  FIXED.forEach((folder) => add(folder, 0));
  return found;
};

/** What a bookmark of an empty change keeps. */
export const unchanged = { title: null, url: null, tags: null, parent: null, place: 0 };
