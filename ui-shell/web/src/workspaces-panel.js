// The button of the workspace that is shown, and the panel of all of them.
import { setAttribute, setText } from "./bridge";
import { commandOf, shownKeys } from "./commands";
import { closePanel, openPanel } from "./panels.js";
import { active, tabs } from "./tabs.js";
import { setTooltip } from "./tooltips";
import { mountWorkspaces, workspaces } from "./workspaces";

const panel = document.getElementById("workspaces-panel");
const button = document.getElementById("workspace-button");
const mark = document.getElementById("workspace-mark");
const view = mountWorkspaces(panel, { close: () => closePanel() });

/** Opens the panel, or closes it. */
export const openWorkspaces = () => {
  const wasOpen = !panel.hidden;
  if (!wasOpen) {
    const counts = new Map();
    for (const { workspace } of tabs.values()) counts.set(workspace, (counts.get(workspace) ?? 0) + 1);
    view.show({ current: active()?.workspace ?? "", tabs: counts });
  }
  openPanel(panel, button);
};
button.addEventListener("click", openWorkspaces);

/** Shows the name and the colour of the workspace in front. */
export const paintWorkspace = () => {
  const id = active()?.workspace ?? "";
  const shown = workspaces.all.find((one) => one.id === id);
  const name = shown?.name ?? (id || "Default");
  setText(document.getElementById("workspace-name"), name);
  const keys = commandOf("workspaces").keys[0];
  const words = `Workspace: ${name}`;
  setAttribute(mark, "data-colour", shown?.colour ?? "grey");
  setAttribute(button, "aria-label", words);
  setTooltip(button, keys ? `${words} (${shownKeys(keys)})` : words);
  document.body.classList.toggle("throw-away", shown?.throwAway ?? false);
};
