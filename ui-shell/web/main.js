// The chrome: wires the parts together.
import { afterMessages, layout, on, send, setText } from "./bridge.js";
import { active } from "./tabs.js";
import * as toolbar from "./toolbar.js";
import * as pages from "./pages.js";
import "./dialogs.js";
import { findAgain, isOpen, openDownloads, openFind } from "./panels.js";

const shortcuts = {
  address: toolbar.focusAddress,
  newTab: toolbar.awaitTab,
  home: toolbar.home,
  find: openFind,
  findNext: () => findAgain(true),
  findPrevious: () => findAgain(false),
  downloads: openDownloads,
};
on("shortcut", ({ name }) => shortcuts[name]?.());
let hint = 0;
on("fullscreen", ({ on: full, byPage }) => {
  document.body.classList.toggle("fullscreen", full);
  // A page that fills the screen could draw bars of its own: its user is told whose page it is.
  clearTimeout(hint);
  const bubble = document.getElementById("fills");
  bubble.hidden = !byPage;
  setText(bubble, byPage ? `${active()?.domain ?? ""} fills the screen. Esc brings the bars back.` : "");
  hint = setTimeout(() => { bubble.hidden = true; layout(); }, 5000);
  layout();
});

// A click on the bars takes the keyboard from the page. When it was for nothing that wants keys, the page gets it back.
const wantsKeys = () => isOpen() || document.activeElement?.matches("input, [role=menuitem], [role=dialog] *, .own *");
// The release of the button, not the click: where the pointer's target has gone meanwhile there is no click.
document.addEventListener("mouseup", () => setTimeout(() => { if (!wantsKeys() && !pages.isShown()) send("focusPage"); }));
// Nor does a button keep it: it does what it does, and the caret stays where it was.
document.getElementById("bars").addEventListener("mousedown", (event) => {
  if (event.target.closest("button") && event.button === 0) event.preventDefault();
});

const paint = () => { toolbar.paint(); pages.paint(); layout(); };
afterMessages(paint);
new ResizeObserver(layout).observe(document.getElementById("page"));
addEventListener("resize", layout);
send("ready");
paint();
