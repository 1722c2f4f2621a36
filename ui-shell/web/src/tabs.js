// The tab strip, and the chrome's copy of the tabs. The broker owns their state; this module must only show it.
import { on, send, setAttribute, setText } from "./bridge";
import { openTabMenu } from "./panels.js";
import { openTab } from "./toolbar.js";
import { setTooltip } from "./tooltips";

/** Tabs by id, as the shell sent them. */
export const tabs = new Map();
/** Order of all tabs, order of those in the strip, and the tab in front. */
export const state = { all: [], order: [], active: 0 };
/** Returns the active tab, if there is one. */
export const active = () => tabs.get(state.active);

const strip = document.getElementById("tabs");
const buttons = new Map();
const icon = (name) => `<svg aria-hidden="true"><use href="#i-${name}"/></svg>`;

/** Returns a tab's title; without one, its address or “New tab”. */
export const titleOf = (tab) => tab.title || tab.url.replace(/^https?:\/\//, "") || "New tab";

const make = (id) => {
  const tab = document.createElement("div");
  tab.className = "tab";
  tab.role = "tab";
  tab.id = `tab-${id}`;
  tab.innerHTML = `<span class="mark" aria-hidden="true"></span><canvas width="32" height="32" aria-hidden="true" hidden></canvas>
    <span class="spinner" aria-hidden="true" hidden></span><span class="title"></span>
    <span class="sound" aria-hidden="true" hidden>${icon("sound")}</span><span class="close" aria-hidden="true">${icon("close")}</span>`;
  tab.addEventListener("mousedown", (event) => {
    // Prevents the press from selecting text and taking focus.
    if (event.button !== 2) event.preventDefault();
    if (event.button !== 0 || event.target.closest(".close, .sound")) return;
    send("activateTab", { tab: id });
    startDrag(tab, id, event.clientX);
  });
  tab.addEventListener("auxclick", (event) => { if (event.button === 1) send("closeTab", { tab: id }); });
  tab.querySelector(".close").addEventListener("click", (event) => { event.stopPropagation(); send("closeTab", { tab: id }); });
  tab.querySelector(".sound").addEventListener("click", (event) => {
    event.stopPropagation();
    send("muteTab", { tab: id, muted: !tabs.get(id).muted });
  });
  tab.addEventListener("contextmenu", (event) => { event.preventDefault(); openTabMenu(id, event.clientX, event.clientY); });
  tab.addEventListener("keydown", (event) => onKey(event, id));
  return tab;
};

/** Lets a tab follow the pointer along the strip, and moves it to where it is released. */
const startDrag = (tab, id, from) => {
  const SLOP = 6;
  let moved = false;
  let grip = from;
  const drag = (event) => {
    if (!(event.buttons & 1)) { end(); return; }
    if (!moved && Math.abs(event.clientX - from) < SLOP) return;
    moved = true;
    tab.classList.add("dragging");
    const swap = (other, step) => {
      if (!other) return false;
      const there = other.getBoundingClientRect();
      const middle = there.left + there.width / 2;
      if (step > 0 ? event.clientX < middle : event.clientX > middle) return false;
      const before = tab.offsetLeft;
      if (step > 0) other.after(tab); else other.before(tab);
      grip += tab.offsetLeft - before;
      return true;
    };
    while (swap(tab.nextElementSibling, 1) || swap(tab.previousElementSibling, -1));
    tab.style.transform = `translateX(${event.clientX - grip}px)`;
  };
  const end = () => {
    removeEventListener("mousemove", drag);
    removeEventListener("mouseup", end);
    tab.classList.remove("dragging");
    tab.style.transform = "";
    const index = [...strip.children].indexOf(tab);
    if (moved && index >= 0 && index !== state.order.indexOf(id)) send("moveTab", { tab: id, index });
  };
  addEventListener("mousemove", drag);
  addEventListener("mouseup", end);
};

const onKey = (event, id) => {
  const at = state.order.indexOf(id);
  const go = (index) => {
    const target = state.order[(index + state.order.length) % state.order.length];
    send("activateTab", { tab: target });
    buttons.get(target)?.focus();
  };
  const keys = {
    ArrowRight: () => (event.ctrlKey ? send("moveTab", { tab: id, index: at + 1 }) : go(at + 1)),
    ArrowLeft: () => (event.ctrlKey ? send("moveTab", { tab: id, index: Math.max(0, at - 1) }) : go(at - 1)),
    Home: () => go(0),
    End: () => go(state.order.length - 1),
    Enter: () => send("activateTab", { tab: id }),
    " ": () => send("activateTab", { tab: id }),
    Delete: () => send("closeTab", { tab: id }),
    ContextMenu: () => { const box = buttons.get(id).getBoundingClientRect(); openTabMenu(id, box.left, box.bottom); },
  };
  if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
};

const paint = (id) => {
  const tab = tabs.get(id);
  const button = buttons.get(id);
  if (!tab || !button) return;
  const busy = tab.state === "loading" || tab.state === "recovering";
  const asleep = tab.state === "lazy" && tab.url !== "" && !tab.url.startsWith("regen:");
  const title = titleOf(tab);
  const hasIcon = button.dataset.icon === tab.site;
  setText(button.querySelector(".title"), title);
  setTooltip(button, asleep ? `${title} (asleep: loads when you open it)` : title);
  setAttribute(button, "aria-label", [title, busy && "loading", tab.state === "sad" && "crashed", asleep && "asleep", tab.muted && "muted"].filter(Boolean).join(", "));
  setAttribute(button, "aria-selected", String(id === state.active));
  button.tabIndex = id === state.active ? 0 : -1;
  button.classList.toggle("pinned", tab.pinned);
  button.classList.toggle("asleep", asleep);
  button.classList.toggle("asks", tab.dialog !== null && id !== state.active);
  button.querySelector(".spinner").hidden = !busy;
  button.querySelector("canvas").hidden = busy || !hasIcon;
  button.querySelector(".mark").hidden = busy || hasIcon;
  const sound = button.querySelector(".sound");
  sound.hidden = !(tab.audible || tab.muted);
  setAttribute(sound.querySelector("use"), "href", tab.muted ? "#i-mute" : "#i-sound");
};

/** Puts the tabs of the workspace that is shown into the strip, and takes out the others. */
const arrange = () => {
  const workspace = active()?.workspace ?? "";
  state.order = state.all.filter((id) => (tabs.get(id)?.workspace ?? "") === workspace);
  const shown = new Set(state.order);
  for (const button of [...strip.children]) if (!shown.has(Number(button.id.slice(4)))) button.remove();
  for (const [index, id] of state.order.entries()) {
    if (!buttons.has(id)) buttons.set(id, make(id));
    if (strip.children[index] !== buttons.get(id)) strip.insertBefore(buttons.get(id), strip.children[index] ?? null);
    paint(id);
  }
};

on("tab", ({ tab }) => {
  const before = tabs.get(tab.id);
  tabs.set(tab.id, tab);
  // A tab becomes one of another workspace when the site of its first address always opens there.
  if (before && before.workspace !== tab.workspace) arrange(); else paint(tab.id);
});
on("tabClosed", ({ tab }) => { tabs.delete(tab); buttons.get(tab)?.remove(); buttons.delete(tab); });
on("order", ({ tabs: order, active: front, first }) => {
  state.all = first ? order : state.all.concat(order);
  state.active = front;
  arrange();
  buttons.get(front)?.scrollIntoView({ block: "nearest", inline: "nearest" });
});
on("favicon", ({ tab: id, width, height, rgba }) => {
  const button = buttons.get(id) ?? buttons.set(id, make(id)).get(id);
  const canvas = button.querySelector("canvas");
  if (!width) {
    delete button.dataset.icon;
    paint(id);
    return;
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(rgba), width, height), 0, 0);
  button.dataset.icon = tabs.get(id)?.site ?? "";
  paint(id);
});

document.getElementById("new-tab").addEventListener("click", openTab);
strip.addEventListener("wheel", (event) => { strip.scrollLeft += event.deltaY + event.deltaX; }, { passive: true });
