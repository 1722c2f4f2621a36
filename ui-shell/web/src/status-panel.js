// The panel with the status of the browser.
import { openPanel } from "./panels.js";
import { mountStatus } from "./status";

const panel = document.getElementById("status-panel");
const view = mountStatus(panel, { isSeen: () => !panel.hidden });

/** Opens the panel, or closes it. */
export const openStatus = () => {
  const wasOpen = !panel.hidden;
  openPanel(panel, document.getElementById("menu-button"));
  if (!wasOpen) view.show();
};
