// The chrome's entry point: connects its modules.
import { afterMessages, layout, on, send, setText } from "./bridge";
import { active } from "./tabs.js";
import * as toolbar from "./toolbar.js";
import * as pages from "./pages.js";
import * as star from "./star.js";
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
  bookmark: star.bookmark,
  bookmarks: () => toolbar.openBuiltin("regen://bookmarks"),
  bookmarksBar: star.toggleBar,
  history: () => toolbar.openBuiltin("regen://history"),
};
on("shortcut", ({ name }) => shortcuts[name]?.());
let hint = 0;
on("fullscreen", ({ on: full, byPage }) => {
  document.body.classList.toggle("fullscreen", full);
  // A page in full screen could draw fake bars, so its site is shown for five seconds.
  clearTimeout(hint);
  const bubble = document.getElementById("fills");
  bubble.hidden = !byPage;
  setText(bubble, byPage ? `${active()?.domain ?? ""} is in full screen. Press Esc to exit.` : "");
  hint = setTimeout(() => { bubble.hidden = true; layout(); }, 5000);
  layout();
});

// A click on the bars takes focus from the page. Unless it focused something that takes keys, focus goes back to the
// page.
const wantsKeys = () => isOpen() || document.activeElement?.matches("input, [role=menuitem], [role=dialog] *, .own *");
// “mouseup” rather than “click”: there is no click if the element under the pointer was replaced meanwhile.
document.addEventListener("mouseup", () => setTimeout(() => { if (!wantsKeys() && !pages.isShown()) send("focusPage"); }));
// Buttons in the bars take no focus, so the caret stays where it was.
document.getElementById("bars").addEventListener("mousedown", (event) => {
  if (event.target.closest("button") && event.button === 0) event.preventDefault();
});

const paint = () => { toolbar.paint(); pages.paint(); layout(); };
afterMessages(paint);
new ResizeObserver(layout).observe(document.getElementById("page"));
addEventListener("resize", layout);
send("ready");
paint();
