// The chrome's entry point: connects its modules.
import { afterMessages, layout, on, send, setText } from "./bridge";
import { active } from "./tabs.js";
import * as toolbar from "./toolbar.js";
import * as pages from "./pages.js";
import * as star from "./star.js";
import "./dialogs.js";
import { findAgain, isOpen, openFind, openMenu } from "./panels.js";
import { handle } from "./commands";
import { openCommandBar } from "./command-panel.js";
import { pickArea } from "./area-panel.js";
import { openDownloads } from "./downloads-panel.js";
import { openSitePanel } from "./site-panel.js";
import { paintPermissions } from "./permissions-bar.js";
import { openStatus } from "./status-panel.js";
import { openWorkspaces, paintWorkspace } from "./workspaces-panel.js";

const openBuiltin = (url) => () => toolbar.openBuiltin(url);
for (const [name, run] of Object.entries({
  "address": toolbar.focusAddress,
  "new-tab": toolbar.awaitTab,
  "home": toolbar.home,
  "find": openFind,
  "find-next": () => findAgain(true),
  "find-previous": () => findAgain(false),
  "downloads": () => openDownloads(),
  "bookmark-page": star.bookmark,
  "bookmarks-bar": star.toggleBar,
  "bookmarks": openBuiltin("regen://bookmarks"),
  "history": openBuiltin("regen://history"),
  "settings": openBuiltin("regen://settings"),
  "command-bar": () => openCommandBar(""),
  "search-tabs": () => openCommandBar("%"),
  "screenshot-of-area": pickArea,
  "site-information": openSitePanel,
  "status": openStatus,
  "workspaces": openWorkspaces,
  "menu": openMenu,
})) handle(name, run);
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

const paint = () => { toolbar.paint(); paintWorkspace(); paintPermissions(); pages.paint(); layout(); };
afterMessages(paint);
new ResizeObserver(layout).observe(document.getElementById("page"));
addEventListener("resize", layout);
send("ready");
paint();
