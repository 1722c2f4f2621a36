// The toolbar: buttons, address bar, security state, progress.
import { on, send, setAttribute, setText } from "./bridge";
import { followed, keysOf } from "./commands";
import { startCompletion } from "./completion";
import { active } from "./tabs.js";
import { setTooltip } from "./tooltips";

const get = (id) => document.getElementById(id);
const address = get("address");
let shownFor = 0;
let shownUrl = "";
let editing = false;
/** Unfinished addresses, by tab; shown again when the tab is activated. */
const drafts = new Map();
/** True while a new tab is being opened; what is typed meanwhile is for that tab. */
let awaitsTab = false;
on("tabClosed", ({ tab }) => drafts.delete(tab));

/** Returns an address without its scheme. */
export const without = (url) => url.replace(/^https:\/\//, "").replace(/^http:\/\//, "").replace(/\/$/, "");

/** Returns icon, kind and words of the security of a tab's connection. */
export const securityOf = (tab) => {
  if (!tab || !tab.url || tab.url.startsWith("regen:")) return ["search", "", ""];
  if (tab.openerHost) return ["warn", "opener", "Popup in its opener’s process"];
  if (!tab.hasHost && tab.state === "failed") return ["warn", "", "Not opened"];
  if (tab.url.startsWith("https:")) {
    if (tab.tls === "broken" || tab.state === "failed") return ["warn", "broken", "Not secure"];
    return tab.tls === "valid" ? ["lock", "valid", ""] : ["open", "", ""];
  }
  return ["open", "", "Not encrypted"];
};

/** Splits an address into the part before its site's domain, the domain, and the rest. */
export const partsOf = (url, domain) => {
  const start = url.indexOf("://") + 3;
  const end = start + url.slice(start).search(/[/?#]|$/);
  const port = url.slice(start, end).match(/:\d+$/)?.[0] ?? "";
  const host = url.slice(start, end - port.length);
  if (!domain || start < 3 || !host.replace(/\.$/, "").endsWith(domain)) return null;
  const at = start + host.lastIndexOf(domain);
  return [url.slice(0, at), domain, url.slice(at + domain.length)];
};

const form = get("address-form");
const paintParts = (tab) => {
  const parts = !tab || editing || awaitsTab || document.activeElement === address ? null : partsOf(tab.address, tab.domain);
  form.classList.toggle("parted", Boolean(parts));
  if (!parts) return;
  const [before, domain, after] = get("address-parts").children;
  // The element is right-to-left so that its beginning is cut; the isolates keep the text itself left-to-right.
  setText(before, parts[0] && `\u2066${parts[0]}\u2069`);
  setText(domain, parts[1]);
  setText(after, parts[2]);
};

const keepDraft = (hadKeys) => {
  drafts.set(shownFor, { text: address.value, hadKeys, caret: address.selectionEnd });
  if (hadKeys) send("keepKeyboard", { tab: shownFor, inBars: true });
};

/** Switches the address bar to another tab. */
const show = (tab) => {
  const hadKeys = document.activeElement === address;
  if (editing && !awaitsTab) keepDraft(hadKeys);
  const awaited = awaitsTab && !tab.url;
  awaitsTab = false;
  shownFor = tab.id;
  if (awaited) return;
  const draft = drafts.get(tab.id);
  drafts.delete(tab.id);
  if (draft?.hadKeys) send("keepKeyboard", { tab: tab.id, inBars: false });
  editing = Boolean(draft);
  if (draft) address.value = draft.text;
  if (draft?.hadKeys) { address.focus(); address.setSelectionRange(draft.caret, draft.caret); }
  else if (tab.url) address.blur();
  else address.focus();
};

/** Shows the active tab. */
export const paint = () => {
  const tab = active();
  const busy = tab && (tab.state === "loading" || tab.state === "recovering");
  get("back").disabled = !tab?.canGoBack;
  get("forward").disabled = !tab?.canGoForward;
  get("reload").disabled = !tab?.url;
  setAttribute(get("reload"), "aria-label", busy ? "Stop" : "Reload");
  setTooltip(get("reload"), busy ? "Stop" : `Reload (${keysOf("reload")})`);
  setAttribute(get("reload").querySelector("use"), "href", busy ? "#i-stop" : "#i-reload");
  if (tab && tab.id !== shownFor) show(tab);
  // The page has navigated while the address bar had no focus: what was typed is given up.
  else if (tab && tab.url !== shownUrl && document.activeElement !== address && !awaitsTab) editing = false;
  shownUrl = tab?.url ?? "";
  if (!editing && !awaitsTab) address.value = tab?.url ?? "";
  paintParts(tab);
  const [icon, kind, text] = securityOf(tab);
  get("security").className = kind;
  setAttribute(get("security").querySelector("use"), "href", `#i-${icon}`);
  setText(get("security-text"), text);
  setAttribute(get("security"), "aria-label", text ? `${text}: site information` : "Site information");
  get("zoom-level").hidden = !tab || Math.abs(tab.zoom - 1) < 0.01;
  setText(get("zoom-level"), `${Math.round((tab?.zoom ?? 1) * 100)} %`);
  const way = (tab?.route ?? "").split(" → ")[0];
  get("route").hidden = way === "" || way === "direct";
  setText(get("route"), way === "tor" ? "Tor" : way === "block" ? "No network" : way.includes("://") ? "Proxy" : way.replace("vpn:", "VPN "));
  get("blocked").hidden = !tab?.blocked;
  setText(get("blocked"), `${tab?.blocked} blocked`);
  const progress = get("progress");
  progress.hidden = !busy;
  const percent = Math.max(8, Math.round((tab?.progress ?? 0) * 100));
  progress.style.width = `${percent}%`;
  progress.setAttribute("aria-valuenow", String(percent));
};

const withTab = (run) => () => { const tab = active(); if (tab) run(tab); };
get("back").addEventListener("click", withTab((tab) => send("history", { tab: tab.id, delta: -1 })));
get("forward").addEventListener("click", withTab((tab) => send("history", { tab: tab.id, delta: 1 })));
get("reload").addEventListener("click", withTab((tab) => {
  if (tab.state === "loading") send("stop", { tab: tab.id });
  else send("reload", { tab: tab.id, bypassCache: false });
}));
export const home = withTab((tab) => { send("navigate", { tab: tab.id, input: followed.home || "about:blank" }); if (followed.home) send("focusPage"); });
get("home").addEventListener("click", home);
get("zoom-level").addEventListener("click", withTab((tab) => send("zoom", { tab: tab.id, zoom: 1 })));

address.addEventListener("input", () => { editing = true; });
const completion = startCompletion(address, get("completions"), {
  go: (input) => go(input),
  switchTo: (tab) => { editing = false; paint(); send("activateTab", { tab }); send("focusPage"); },
});
// Selects at once, not a frame later: text typed right after Ctrl+L must not be selected and overwritten.
let focusedByPointer = false;
address.addEventListener("focus", () => {
  paintParts(active());
  // The window may lose and regain focus in the middle of a word, which must not be overwritten by the rest.
  if (!editing) address.select();
});
address.addEventListener("mousedown", () => { focusedByPointer = document.activeElement !== address; });
address.addEventListener("mouseup", (event) => {
  // Without this, the click that focuses the field would undo the selection.
  if (focusedByPointer && address.selectionStart === address.selectionEnd) address.select();
  if (focusedByPointer) event.preventDefault();
  focusedByPointer = false;
});
address.addEventListener("blur", () => {
  // Typed text stays when the field loses focus, until the user opens it or gives it up.
  if (editing && address.value === (active()?.url ?? "")) editing = false;
  paint();
});
address.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  editing = false;
  paint();
  send("focusPage");
});
const go = (input) => {
  const tab = active();
  if (!input.trim()) return;
  editing = false;
  awaitsTab = false;
  if (tab) send("navigate", { tab: tab.id, input });
  else send("openTab", { input, background: false });
  address.blur();
  send("focusPage");
};
get("address-form").addEventListener("submit", (event) => { event.preventDefault(); go(completion.meant(address.value)); });
get("start-form").addEventListener("submit", (event) => { event.preventDefault(); go(get("start-input").value); get("start-input").value = ""; });

/** Focuses the address bar and selects its text. */
export const focusAddress = () => { address.focus(); address.select(); };

/** Shows a built-in page: in the active tab if it is empty, and otherwise in a new one. */
export const openBuiltin = (url) => {
  const tab = active();
  if (tab?.url === url) return;
  if (tab && !tab.url) send("navigate", { tab: tab.id, input: url });
  else send("openTab", { input: url, background: false });
};

/** Opens a tab and focuses its address bar. */
export const openTab = () => { send("openTab", { input: "", background: false }); awaitTab(); };

/** Prepares the address bar for a tab that is being opened: what is typed meanwhile belongs to that tab. */
export const awaitTab = () => {
  if (editing && !awaitsTab) keepDraft(true);
  awaitsTab = true;
  editing = true;
  address.value = "";
  focusAddress();
};
