// The panel of the site in front.
import { mount } from "svelte";
import SitePanel from "./SitePanel.svelte";

/** What the panel shows of the tab itself. */
export interface Shown { tab: number; name: string; connection: string; process: string; route: string; blocked: number; zoom: number }

export const mountSitePanel = (target: HTMLElement, props: { close: () => void }): { show: (shown: Shown) => void } =>
  mount(SitePanel, { target, props }) as { show: (shown: Shown) => void };
