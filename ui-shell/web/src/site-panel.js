// Opens the panel of the site in front.
import { closePanel, openPanel } from "./panels.js";
import { mountSitePanel } from "./site";
import { active } from "./tabs.js";
import { securityOf, without } from "./toolbar.js";

const panel = document.getElementById("site-panel");
const button = document.getElementById("security");
const view = mountSitePanel(panel, { close: () => closePanel() });

const connectionOf = (tab) => {
  const [, kind] = securityOf(tab);
  if (!tab?.url || tab.url.startsWith("regen:")) return "A built-in page of Regen.";
  if (kind === "valid") return "The connection is encrypted, according to the site’s process.";
  if (kind === "broken") return "The certificate is not valid: others on the network can read what you type here.";
  return tab.url.startsWith("https:") ? "No connection has been checked yet." : "The connection is not encrypted: others on the network can read and change this page.";
};
const processOf = (tab) => {
  if (!tab?.site) return "";
  return tab.openerHost ? "This popup runs in the process of the page that opened it, and shares its storage."
    : "Runs in its own process, with its own storage.";
};

/** Opens the panel of the active tab's site. */
export const openSitePanel = () => {
  const tab = active();
  const wasOpen = !panel.hidden;
  openPanel(panel, button);
  if (!wasOpen) view.show({ tab: tab?.id ?? 0, name: tab?.site ? without(tab.site) : "Regen", connection: connectionOf(tab), process: processOf(tab), route: tab?.route ?? "", blocked: tab?.blocked ?? 0, zoom: tab?.zoom ?? 1 });
};
button.addEventListener("click", openSitePanel);
