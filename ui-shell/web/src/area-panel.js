// Takes a screenshot of an area that the user drags over the page.
import { closePanel, openPanel } from "./panels.js";
import { send } from "./bridge";
import { mountAreaPicker } from "./screenshot";
import { active } from "./tabs.js";

const panel = document.getElementById("area-picker");
const picker = mountAreaPicker(panel, {
  take: (area) => {
    const tab = active();
    const { width, height } = panel.getBoundingClientRect();
    closePanel();
    if (tab) send("screenshot", { tab: tab.id, ...(area ?? { x: 0, y: 0, width, height }) });
  },
  close: () => closePanel(),
});

/** Shows the veil over the page. */
export const pickArea = () => {
  openPanel(panel, null);
  picker.focus();
};
