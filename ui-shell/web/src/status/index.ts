// Status of the browser: the panel with a line for each of its parts.
import { mount } from "svelte";
import StatusPanel from "./StatusPanel.svelte";

/** The panel asks anew every 5 s while `isSeen` says that it is seen. */
export const mountStatus = (target: HTMLElement, props: { isSeen: () => boolean }): { show: () => void } =>
  mount(StatusPanel, { target, props }) as { show: () => void };
