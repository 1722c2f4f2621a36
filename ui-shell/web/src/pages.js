// Built-in pages: the start page, refused addresses, and tabs whose process crashed too often.
import { send, setText } from "./bridge";
import { mountBookmarks } from "./bookmarks";
import { mountHistory } from "./history";
import { mountSettings } from "./settings";
import { openBuiltin } from "./toolbar.js";
import { active } from "./tabs.js";

/** Returns whether a built-in page is shown. */
export const isShown = () => ["start", "own-page", "history", "bookmarks", "settings"].some((id) => !get(id).hidden);

const get = (id) => document.getElementById(id);

/** Set once a tab is known. Until then the start page would cover a page that is on the screen already. */
let hasStarted = false;

/** Shows or hides the built-in pages according to the active tab. */
export const paint = () => {
  const tab = active();
  const sad = tab?.state === "sad";
  const insecure = tab?.state === "insecure";
  const inside = tab?.state === "private";
  const refused = insecure || inside || (tab?.state === "failed" && !tab.hasHost);
  hasStarted ||= Boolean(tab);
  const start = tab ? !tab.url && !tab.hasHost && !sad && !refused : hasStarted;
  const wasStart = !get("start").hidden;
  for (const [url, view] of Object.entries(views)) show(view, tab?.url === url);
  get("start").hidden = !start;
  get("own-page").hidden = !(sad || refused);
  const pending = tab?.state === "recovering" ? "Restoring the page…" : tab?.state === "loading" ? tab.reason : "";
  get("pending").hidden = !pending;
  setText(get("pending"), pending ?? "");
  if (sad || refused) {
    const stopped = tab.reason === "you stopped its script";
    const crashed = stopped ? "This page was stopped" : "This page keeps crashing";
    setText(get("own-title"), sad ? crashed : insecure ? "This page is not encrypted" : inside ? "This address is in your private network" : "Regen cannot open this address");
    setText(get("own-address"), tab.url);
    setText(get("own-reason"), !sad || stopped
      ? insecure ? `${tab.reason} Anyone on the network could read and change what it shows and what you type.` : tab.reason
      : `Its process ended three times within a minute. Last reason: ${tab.reason}.`);
    setText(get("own-action"), sad ? "Reload" : "Back");
    get("own-action").hidden = refused && !tab.canGoBack;
    get("own-anyway").hidden = !(insecure || inside);
    setText(get("own-anyway"), inside ? "Open it anyway" : "Continue without encryption");
  }
  if (start && !wasStart && document.activeElement === document.body) { send("focusChrome"); get("start-input").focus(); }
};

/** Takes the user to an address: in the active tab, or in a new one behind it. */
export const open = (url, background) => {
  const tab = active();
  if (background || !tab) send("openTab", { input: url, background });
  else send("navigate", { tab: tab.id, input: url });
};
const views = {
  "regen://history": { section: get("history"), view: mountHistory(get("history"), { open }) },
  "regen://bookmarks": { section: get("bookmarks"), view: mountBookmarks(get("bookmarks"), { open }) },
  "regen://settings": { section: get("settings"), view: mountSettings(get("settings")) },
};
/** Shows a setting on the page of the settings. */
export const showSetting = (name) => {
  openBuiltin("regen://settings");
  views["regen://settings"].view.find(name);
};
const show = ({ section, view }, shows) => {
  if (section.hidden !== shows) return;
  section.hidden = !shows;
  view.show(shows);
};

get("own-anyway").addEventListener("click", () => {
  const tab = active();
  if (tab?.state === "insecure") send("allowInsecure", { tab: tab.id });
  if (tab?.state === "private") send("allowPrivate", { tab: tab.id });
});

get("own-action").addEventListener("click", () => {
  const tab = active();
  if (!tab) return;
  if (tab.state === "sad") send("reload", { tab: tab.id, bypassCache: false });
  else send("history", { tab: tab.id, delta: -1 });
});
