// Bookmarks: the star in the address bar, the bar below it, and the built-in page.
import { mount } from "svelte";
import type { ChromeBookmark } from "../bindings";
import BookmarkBar from "./BookmarkBar.svelte";
import BookmarkPanel from "./BookmarkPanel.svelte";
import BookmarksPage from "./BookmarksPage.svelte";

/** Takes the user to an address. */
export type Open = (url: string, background: boolean) => void;
/** Shows the entries of a folder below a point. */
export type OpenFolder = (folder: ChromeBookmark, button: HTMLElement) => void;

export const mountBar = (target: HTMLElement, props: { open: Open; openFolder: OpenFolder }): { toggle: () => void } =>
  mount(BookmarkBar, { target, props }) as { toggle: () => void };

export const mountPanel = (target: HTMLElement, props: { close: () => void; isMarked: (marked: boolean) => void }): {
  show: (page: { url: string; title: string }) => Promise<void>; page: (url: string) => void;
} => mount(BookmarkPanel, { target, props }) as never;

export const mountBookmarks = (target: HTMLElement, props: { open: Open }): { show: (shows: boolean) => void } =>
  mount(BookmarksPage, { target, props }) as { show: (shows: boolean) => void };
