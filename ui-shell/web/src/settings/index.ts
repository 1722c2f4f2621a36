// The built-in page of the settings.
import { mount } from "svelte";
import SettingsPage from "./SettingsPage.svelte";

/** Shows the settings in an element. `find` narrows them to those with these words. */
export const mountSettings = (target: HTMLElement): { show: (shows: boolean) => void; find: (words: string) => void } =>
  mount(SettingsPage, { target }) as { show: (shows: boolean) => void; find: (words: string) => void };
