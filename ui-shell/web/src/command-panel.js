// The command bar's panel.
import { mountCommandBar } from "./command-bar";
import { open, showSetting } from "./pages.js";
import { closePanel, openPanel } from "./panels.js";

const panel = document.getElementById("command-bar");
const bar = mountCommandBar(panel, { go: open, showSetting, close: () => closePanel() });

/** Opens the command bar with this text typed. Opened again, it is closed. */
export const openCommandBar = (typed) => {
  const wasOpen = !panel.hidden;
  openPanel(panel, null);
  if (!wasOpen) bar.show(typed);
};
