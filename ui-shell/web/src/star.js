// The star in the address bar, and the bookmarks bar.
import { afterMessages, on, send } from "./bridge";
import { mountBar, mountPanel } from "./bookmarks";
import { list } from "./bookmarks/shelf";
import { open } from "./pages.js";
import { closePanel, openItems, openPanel } from "./panels.js";
import { active } from "./tabs.js";

const star = document.getElementById("star");
const panel = document.getElementById("bookmark-panel");
const mark = mountPanel(panel, {
  close: () => closePanel(),
  isMarked: (marked) => star.setAttribute("aria-pressed", String(marked)),
});
const bar = mountBar(document.getElementById("bookmark-bar"), {
  open: (url, background) => { open(url, background); if (!background) send("focusPage"); },
  openFolder: (folder, button) => openFolder(folder, button),
});
const openFolder = async (folder, button) => {
  const entries = await list({ parent: folder.id });
  const item = (entry) => [entry.title || entry.url || "Folder", "", () => (entry.url === null ? void openFolder(entry, button) : open(entry.url, false))];
  openItems(entries.length ? entries.map(item) : [["Empty", "", () => {}]], button);
};

/** Bookmarks the page in front, and shows its bookmark. */
export const bookmark = async () => {
  const tab = active();
  if (!canBeBookmarked(tab)) return;
  if (panel.hidden) openPanel(panel, star);
  await mark.show({ url: tab.url, title: tab.title });
};
export const toggleBar = () => bar.toggle();

const canBeBookmarked = (tab) => Boolean(tab?.url) && !tab.url.startsWith("regen:");
let shown = "";
afterMessages(() => {
  const tab = active();
  star.hidden = !canBeBookmarked(tab);
  const url = star.hidden ? "" : tab.url;
  if (url === shown) return;
  shown = url;
  mark.page(url);
});
star.addEventListener("click", () => { if (panel.hidden) void bookmark(); else closePanel(); });
on("order", () => { if (!panel.hidden) closePanel(false); });
