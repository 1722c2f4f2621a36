// The built-in page of the history.
import { mount } from "svelte";
import HistoryPage from "./HistoryPage.svelte";

/** Shows the history in an element. `open` takes the user to an address. */
export const mountHistory = (target: HTMLElement, props: { open: (url: string, background: boolean) => void }): { show: (shows: boolean) => void } =>
  mount(HistoryPage, { target, props }) as { show: (shows: boolean) => void };
