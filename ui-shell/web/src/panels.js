// Menus, panels, the find bar and notices.
import { layout, on, send, setText } from "./bridge";
import { active, state, tabs } from "./tabs.js";
import { commandOf, keysOf, run } from "./commands";
import { hideTooltip, showTooltip } from "./tooltips";
import { workspaces } from "./workspaces";

const get = (id) => document.getElementById(id);

// ── one open panel at a time ──
let opened = null;
/** Returns whether a menu or panel is open. */
export const isOpen = () => opened !== null;
const close = (refocus = true) => {
  if (!opened) return;
  const { panel, button, before } = opened;
  opened = null;
  panel.hidden = true;
  button?.setAttribute("aria-expanded", "false");
  if (button) showTooltip(button);
  // Focus goes back to where it was.
  if (refocus && before === document.body) send("focusPage");
  else if (refocus) (before?.isConnected ? before : button)?.focus();
  layout();
};
const open = (panel, button, byItself = false) => {
  const again = opened?.panel === panel;
  const before = opened?.before ?? document.activeElement ?? document.body;
  close(false);
  if (again) return;
  opened = { panel, button, before };
  panel.hidden = false;
  button?.setAttribute("aria-expanded", "true");
  if (button) hideTooltip(button);
  // A panel that opens by itself leaves focus in the page.
  if (!byItself) {
    send("focusChrome");
    if (!panel.hasAttribute("tabindex")) panel.tabIndex = -1;
    (panel.querySelector("button, input") ?? panel).focus();
  }
  layout();
};
document.addEventListener("mousedown", (event) => {
  if (opened && !opened.panel.contains(event.target) && !opened.button?.contains(event.target)) close(false);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && opened) { event.preventDefault(); close(); }
});
// Removes the caret from the chrome when the page has focus.
on("pageFocused", () => { close(false); document.activeElement?.blur(); });

// ── menus ──
const fill = (menu, items) => {
  menu.replaceChildren(...items.map((item) => {
    if (!item) return Object.assign(document.createElement("hr"), { role: "separator" });
    const [label, shortcut, run, isOn] = item;
    const button = Object.assign(document.createElement("button"), { role: "menuitem", textContent: label, tabIndex: -1 });
    if (isOn !== undefined) Object.assign(button, { role: "menuitemcheckbox", ariaChecked: String(isOn) });
    if (shortcut) button.append(Object.assign(document.createElement("kbd"), { textContent: shortcut }));
    button.addEventListener("click", () => { close(false); run(); });
    return button;
  }));
};
for (const menu of [get("menu"), get("tab-menu")]) {
  menu.addEventListener("keydown", (event) => {
    const items = [...menu.querySelectorAll("[role^=menuitem]")];
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    items[(to + items.length) % items.length]?.focus();
  });
}
const forActive = (run) => () => { const tab = active(); if (tab) run(tab); };
/** Returns the menu item of a command. */
const itemOf = (name) => {
  return [commandOf(name).words, keysOf(name), () => run(name)];
};
const MENU = ["new-tab", "reopen-tab", null, "zoom-in", "zoom-out", "actual-size", "full-screen", null, "find", "print", "save-page", "screenshot", "reader", "view-source", "inspector", null, "history", "bookmarks",
  "downloads", null, "workspaces", "new-throw-away", "command-bar", "previous-session", "status", "settings", null, "quit"];
/** Opens the main menu. */
export const openMenu = () => {
  fill(get("menu"), MENU.map((name) => name && itemOf(name)));
  open(get("menu"), get("menu-button"));
};
get("menu-button").addEventListener("click", openMenu);

/** Opens a menu with these items below a button. */
export const openItems = (items, button) => {
  const menu = get("tab-menu");
  const box = button.getBoundingClientRect();
  fill(menu, items);
  menu.style.left = `${Math.min(box.left, innerWidth - 280)}px`;
  menu.style.top = `${box.bottom + 2}px`;
  open(menu, button);
};
export { open as openPanel, close as closePanel };

/** Returns the menu items that take a tab's pages to another workspace, or let its site always open in this one. */
const workspaceItems = (id, tab) => {
  const act = (action) => () => send("workspaces", { action });
  const others = workspaces.all.filter((one) => one.id !== tab.workspace);
  const items = others.map((one) => [`Open in ${one.name}`, "", act({ kind: "move", tab: id, workspace: one.id })]);
  const here = workspaces.all.find((one) => one.id === tab.workspace);
  if (!tab.site || !here || here.throwAway || (!others.length && !here.sites.length)) return items.length ? [null, ...items] : [];
  const host = new URL(tab.site).hostname;
  const isHome = here.sites.includes(host);
  return [null, ...items, [`Always open ${tab.domain} in ${here.name}`, "", act({ kind: "site", url: tab.url, workspace: isHome ? null : here.id }), isHome]];
};

/** Opens a tab's menu at a point. */
export const openTabMenu = (id, x, y) => {
  const tab = tabs.get(id);
  if (!tab) return;
  const menu = get("tab-menu");
  fill(menu, [
    ["Reload", keysOf("reload"), () => send("reload", { tab: id, bypassCache: false })],
    ["Duplicate", "", () => send("duplicateTab", { tab: id })],
    [tab.pinned ? "Unpin" : "Pin", "", () => send("pinTab", { tab: id, pinned: !tab.pinned })],
    [tab.muted ? "Unmute" : "Mute", "", () => send("muteTab", { tab: id, muted: !tab.muted })],
    ...workspaceItems(id, tab),
    null,
    ["Close", keysOf("close-tab"), () => send("closeTab", { tab: id })],
    ["Close other tabs", "", () => state.order.filter((other) => other !== id && !tabs.get(other)?.pinned).forEach((other) => send("closeTab", { tab: other }))],
    itemOf("reopen-tab"),
  ]);
  menu.style.left = `${Math.min(x, innerWidth - 280)}px`;
  menu.style.top = `${y}px`;
  open(menu, document.getElementById(`tab-${id}`));
};

// ── find ──
const find = get("find");
const findText = get("find-text");
/** Tab being searched; the find bar closes when another tab becomes active. */
let searched = 0;
const search = (next, forward = true) => {
  const tab = active();
  if (!tab) return;
  if (!findText.value) setText(get("find-count"), "");
  send("find", { tab: tab.id, text: findText.value, forward, next });
};
export const openFind = () => {
  find.hidden = false;
  searched = active()?.id ?? 0;
  send("focusChrome");
  findText.focus();
  findText.select();
  layout();
};
const endFind = () => {
  if (find.hidden) return;
  find.hidden = true;
  if (tabs.has(searched)) send("find", { tab: searched, text: "", forward: true, next: false });
  setText(get("find-count"), "");
  layout();
};
const closeFind = () => {
  if (find.hidden) return;
  endFind();
  send("focusPage");
};
on("order", ({ active: front }) => {
  if (front === searched) return;
  const hadKeys = find.contains(document.activeElement);
  endFind();
  if (hadKeys) send("focusPage");
});
findText.addEventListener("input", () => search(false));
find.addEventListener("submit", (event) => event.preventDefault());
find.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { event.preventDefault(); closeFind(); }
  if (event.key === "Enter" && event.target === findText) { event.preventDefault(); search(true, !event.shiftKey); }
});
get("find-next").addEventListener("click", () => search(true, true));
get("find-previous").addEventListener("click", () => search(true, false));
get("find-close").addEventListener("click", closeFind);
const countText = (matches, position) => {
  if (!findText.value) return "";
  if (matches === 0xffffffff) return "More than 10,000";
  if (!matches) return "No match";
  if (position) return `${position} of ${matches}`;
  return matches === 1 ? "1 match" : `${matches} matches`;
};
on("findResult", ({ tab, matches, position }) => {
  if (tab === searched) setText(get("find-count"), countText(matches, position));
});
export const findAgain = (forward) => { if (find.hidden) openFind(); else search(true, forward); };

// ── notices ──
const notice = (kind, text, actions) => {
  const box = Object.assign(document.createElement("div"), { className: `notice ${kind}` });
  box.append(Object.assign(document.createElement("p"), { textContent: text }));
  const dismiss = () => { box.remove(); layout(); };
  for (const [label, run, primary] of actions) {
    const button = Object.assign(document.createElement("button"), { textContent: label, className: primary ? "primary" : "" });
    button.addEventListener("click", () => { dismiss(); run(); });
    box.append(button);
  }
  get("notices").append(box);
  layout();
  return dismiss;
};
on("notice", ({ level, text }) => notice(level, text, [["OK", () => {}, false]]));
let offer = () => {};
on("sessionOffer", ({ session, tabs: count, savedAt, choices }) => {
  offer();
  offer = () => {};
  if (!count) return;
  const when = new Date(savedAt * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const reply = (restore, chosen = []) => send("answerSession", { session, restore, tabs: chosen });
  offer = notice("offer", `Restore previous session? ${count === 1 ? "One tab was" : `${count} tabs were`} open on ${when}.`, [
    ["Start fresh", () => reply(false), false],
    ...(choices.length > 1 ? [["Choose tabs…", () => chooseTabs(choices, reply), false]] : []),
    ["Restore", () => reply(true), true],
  ]);
});

// ── a VPN that the user has not allowed yet ──
const vpnQuestions = new Map();
on("vpnQuestion", ({ name, peer, asked }) => {
  vpnQuestions.get(name)?.();
  vpnQuestions.delete(name);
  if (!asked) return;
  const reply = (allow) => { vpnQuestions.delete(name); send("answerVpn", { name, allow }); };
  vpnQuestions.set(name, notice("offer", `Allow pages to use the VPN “${name}” (${peer})? Its operator can see which sites you visit.`, [
    ["Keep it off", () => reply(false), false],
    ["Allow", () => reply(true), true],
  ]));
});

// ── an address for another program ──
let outside = () => {};
on("outsideQuestion", ({ site, url }) => {
  outside();
  const short = url.length > 80 ? `${url.slice(0, 79)}…` : url;
  outside = notice("offer", `${site.replace(/^https?:\/\//, "")} wants to open “${short}” in another program. Regen does not open such addresses itself.`, [
    ["Not now", () => {}, false],
    ["Open", () => send("openOutside", { url }), true],
  ]);
});

const downloadQuestions = new Map();
on("downloadQuestion", ({ site, workspace, files }) => {
  const key = `${workspace}|${site}`;
  downloadQuestions.get(key)?.();
  downloadQuestions.delete(key);
  if (!files) return;
  const reply = (allow) => { downloadQuestions.delete(key); send("answerDownloads", { site, workspace, allow }); };
  const name = site.replace(/^https?:\/\//, "");
  downloadQuestions.set(key, notice("offer", `Allow ${name} to save ${files === 1 ? "another file" : `${files} more files`} without a click for each?`, [
    ["Refuse", () => reply(false), false],
    ["Allow", () => reply(true), true],
  ]));
});

// ── choice of tabs to restore ──
let answerChoice = () => {};
const checked = () => [...get("choice-list").querySelectorAll("input:checked")].map((box) => Number(box.value));
const paintChoice = () => {
  const count = checked().length;
  get("choice-open").disabled = !count;
  setText(get("choice-open"), count === 1 ? "Restore 1 tab" : `Restore ${count} tabs`);
};
const chooseTabs = (choices, reply) => {
  get("choice-list").replaceChildren(...choices.map((choice) => {
    const label = document.createElement("label");
    label.append(Object.assign(document.createElement("input"), { type: "checkbox", value: String(choice.tab), checked: true }));
    label.append(Object.assign(document.createElement("span"), { textContent: choice.title || choice.url }));
    label.append(Object.assign(document.createElement("small"), { textContent: choice.url }));
    const item = document.createElement("li");
    item.append(label);
    return item;
  }));
  answerChoice = reply;
  paintChoice();
  get("choice").hidden = false;
  get("veil").hidden = false;
  layout();
  send("focusChrome");
  get("choice-list").querySelector("input").focus();
};
const closeChoice = () => {
  get("choice").hidden = true;
  get("veil").hidden = true;
  layout();
};
get("choice-list").addEventListener("change", paintChoice);
get("choice-open").addEventListener("click", () => { const chosen = checked(); closeChoice(); answerChoice(true, chosen); });
// Nothing was decided, so the session is offered again.
get("choice-cancel").addEventListener("click", () => { closeChoice(); send("offerSession"); });
get("choice").addEventListener("keydown", (event) => {
  if (event.key === "Escape") { event.preventDefault(); get("choice-cancel").click(); }
});

// ── a script that does not end ──
const hanging = new Map();
on("tab", ({ tab }) => {
  const answered = () => { hanging.get(tab.id)?.(); hanging.delete(tab.id); };
  if (!tab.unresponsive) answered();
  else if (!hanging.has(tab.id)) {
    hanging.set(tab.id, notice("warning", `“${tab.title || tab.url}” does not respond.`, [
      ["Wait", answered, false],
      ["Stop script", () => { answered(); send("stopScript", { tab: tab.id }); }, true],
    ]));
  }
});

// ── the link under the pointer ──
on("hover", ({ url }) => {
  setText(get("hover"), url);
  get("hover").hidden = !url;
  layout();
});
