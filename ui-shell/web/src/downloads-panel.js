// Opens the panel of downloads: by its button, and by itself when a download begins.
import { mountDownloads } from "./downloads";
import { isOpen, openPanel } from "./panels.js";

const panel = document.getElementById("downloads-panel");
const button = document.getElementById("downloads-button");

/** Opens the panel. One that opens by itself leaves focus in the page. */
export const openDownloads = (byItself = false) => {
  button.hidden = false;
  openPanel(panel, button, byItself);
};
mountDownloads(panel, {
  listed: () => { button.hidden = false; },
  began: () => { if (!isOpen()) openDownloads(true); },
});
button.addEventListener("click", () => openDownloads());
