// Downloads: the panel that lists them.
import { mount } from "svelte";
import DownloadsPanel from "./DownloadsPanel.svelte";

/** Shows the list. `listed`: there is a download; `began`: one has begun. */
export const mountDownloads = (target: HTMLElement, props: { listed: () => void; began: () => void }): void => {
  mount(DownloadsPanel, { target, props });
};
