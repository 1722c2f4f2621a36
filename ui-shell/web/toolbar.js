// The toolbar: buttons, address bar, security state, progress.
import { on, send, setText } from "./bridge.js";
import { active } from "./tabs.js";

const get = (id) => document.getElementById(id);
const address = get("address");
let shownFor = 0;
let shownUrl = "";
let editing = false;
/** What was typed and not yet gone to, by tab: it is there again when its user comes back to the tab. */
const drafts = new Map();
/** A new tab was asked for, and what is typed meanwhile is for it. */
let awaitsTab = false;
on("tabClosed", ({ tab }) => drafts.delete(tab));

const without = (url) => url.replace(/^https:\/\//, "").replace(/^http:\/\//, "").replace(/\/$/, "");

const securityOf = (tab) => {
  if (!tab || !tab.url) return ["search", "", ""];
  if (tab.openerHost) return ["warn", "opener", "Popup in its opener’s process"];
  if (!tab.hasHost && tab.state === "failed") return ["warn", "", "Not opened"];
  if (tab.url.startsWith("https:")) {
    if (tab.tls === "broken" || tab.state === "failed") return ["warn", "broken", "Not secure"];
    return tab.tls === "valid" ? ["lock", "valid", ""] : ["open", "", ""];
  }
  return ["open", "", "Not encrypted"];
};

/** The address in three parts: up to the domain of its site, the domain, and the rest. */
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
  const parts = !tab || editing || awaitsTab || document.activeElement === address ? null : partsOf(tab.url, tab.domain);
  form.classList.toggle("parted", Boolean(parts));
  if (!parts) return;
  const [before, domain, after] = get("address-parts").children;
  // Read from right to left so that its beginning is cut: the marks keep its own direction.
  setText(before, parts[0] && `\u2066${parts[0]}\u2069`);
  setText(domain, parts[1]);
  setText(after, parts[2]);
};

const keepDraft = (hadKeys) => {
  drafts.set(shownFor, { text: address.value, hadKeys, caret: address.selectionEnd });
  if (hadKeys) send("keepKeyboard", { tab: shownFor, inBars: true });
};

/** Another tab is in front. */
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
  get("reload").setAttribute("aria-label", busy ? "Stop" : "Reload");
  get("reload").title = busy ? "Stop (Esc)" : "Reload (Ctrl+R)";
  get("reload").querySelector("use").setAttribute("href", busy ? "#i-stop" : "#i-reload");
  if (tab && tab.id !== shownFor) show(tab);
  // The page has gone elsewhere since its user turned away from what they typed.
  else if (tab && tab.url !== shownUrl && document.activeElement !== address && !awaitsTab) editing = false;
  shownUrl = tab?.url ?? "";
  if (!editing && !awaitsTab) address.value = tab?.url ?? "";
  paintParts(tab);
  const [icon, kind, text] = securityOf(tab);
  get("security").className = kind;
  get("security").querySelector("use").setAttribute("href", `#i-${icon}`);
  setText(get("security-text"), text);
  get("security").setAttribute("aria-label", text ? `${text}: site information` : "Site information");
  get("zoom-level").hidden = !tab || Math.abs(tab.zoom - 1) < 0.01;
  setText(get("zoom-level"), `${Math.round((tab?.zoom ?? 1) * 100)} %`);
  const way = (tab?.route ?? "").split(" → ")[0];
  get("route").hidden = way === "" || way === "direct";
  setText(get("route"), way === "tor" ? "Tor" : way === "block" ? "No network" : way.includes("://") ? "Proxy" : way.replace("vpn:", "VPN "));
  get("blocked").hidden = !tab?.blocked;
  setText(get("blocked"), `${tab?.blocked} blocked`);
  setText(get("site-route"), !tab?.route ? ""
    : `Its connections go: ${tab.route}${way === "direct" ? ", from your own address" : ""}.`);
  setText(get("site-blocked"), !tab?.site ? ""
    : `Shields stopped ${tab.blocked || "no"} ${tab.blocked === 1 ? "request" : "requests"} of this page.`);
  const progress = get("progress");
  progress.hidden = !busy;
  const percent = Math.max(8, Math.round((tab?.progress ?? 0) * 100));
  progress.style.width = `${percent}%`;
  progress.setAttribute("aria-valuenow", String(percent));
  setText(get("site-name"), tab?.site ? without(tab.site) : "Regen");
  setText(get("site-connection"), !tab?.url ? "A page of Regen’s own."
    : kind === "valid" ? "The connection is encrypted, as the site’s process reports it."
    : kind === "broken" ? "The certificate is not valid: what you type here can be read by others."
    : tab.url.startsWith("https:") ? "No connection has been checked yet." : "The connection is not encrypted: others on the network can read and change this page.");
  setText(get("site-process"), tab?.openerHost
    ? "This popup runs in the process of the page that opened it, and shares its storage."
    : "Runs in a process of its own, with storage of its own.");
};

const withTab = (run) => () => { const tab = active(); if (tab) run(tab); };
get("back").addEventListener("click", withTab((tab) => send("history", { tab: tab.id, delta: -1 })));
get("forward").addEventListener("click", withTab((tab) => send("history", { tab: tab.id, delta: 1 })));
get("reload").addEventListener("click", withTab((tab) => {
  if (tab.state === "loading") send("stop", { tab: tab.id });
  else send("reload", { tab: tab.id, bypassCache: false });
}));
export const home = withTab((tab) => send("navigate", { tab: tab.id, input: "about:blank" }));
get("home").addEventListener("click", home);
get("zoom-level").addEventListener("click", withTab((tab) => send("zoom", { tab: tab.id, zoom: 1 })));

address.addEventListener("input", () => { editing = true; });
// At once, not a frame later: what is typed right after Ctrl+L must not be selected and typed over.
let focusedByPointer = false;
address.addEventListener("focus", () => { paintParts(active()); address.select(); });
address.addEventListener("mousedown", () => { focusedByPointer = document.activeElement !== address; });
address.addEventListener("mouseup", (event) => {
  // The click that brings the keyboard here would otherwise undo the selection.
  if (focusedByPointer && address.selectionStart === address.selectionEnd) address.select();
  if (focusedByPointer) event.preventDefault();
  focusedByPointer = false;
});
address.addEventListener("blur", () => {
  // Left for the page, or for another program: what was typed stays until it is gone to or given up.
  if (editing && address.value === (active()?.url ?? "")) editing = false;
  paint();
});
address.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
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
get("address-form").addEventListener("submit", (event) => { event.preventDefault(); go(address.value); });
get("start-form").addEventListener("submit", (event) => { event.preventDefault(); go(get("start-input").value); get("start-input").value = ""; });

/** Puts the keyboard into the address bar. */
export const focusAddress = () => { address.focus(); address.select(); };

/** Opens a tab, and puts the keyboard into its address bar. */
export const openTab = () => { send("openTab", { input: "", background: false }); awaitTab(); };

/** The same for a tab that is only being opened: what is typed before it is there belongs to it. */
export const awaitTab = () => {
  if (editing && !awaitsTab) keepDraft(true);
  awaitsTab = true;
  editing = true;
  address.value = "";
  focusAddress();
};
