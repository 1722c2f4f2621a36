// The command bar: one list of tabs, pages, bookmarks, commands and settings.
import { mount } from "svelte";
import CommandBar from "./CommandBar.svelte";

/** What the user may choose, and the panel around the bar. */
export interface Actions {
  go: (url: string, background: boolean) => void;
  showSetting: (name: string) => void;
  close: () => void;
}

export const mountCommandBar = (target: HTMLElement, actions: Actions): { show: (typed: string) => void } =>
  mount(CommandBar, { target, props: { actions } }) as { show: (typed: string) => void };
