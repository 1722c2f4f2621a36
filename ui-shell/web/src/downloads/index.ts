// Downloads: the panel that lists them.
import { mount } from "svelte";
import DownloadsPanel from "./DownloadsPanel.svelte";

/** Shows the list. `began`: a download has begun. */
export const mountDownloads = (target: HTMLElement, props: { began: () => void }): void => {
  mount(DownloadsPanel, { target, props });
};
