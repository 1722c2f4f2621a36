// The chrome: wires the parts together.
import { afterMessages, layout, on, send } from "./bridge.js";
import "./tabs.js";
import * as toolbar from "./toolbar.js";
import * as pages from "./pages.js";
import { findAgain, openDownloads, openFind } from "./panels.js";

const shortcuts = {
  address: toolbar.focusAddress,
  home: toolbar.home,
  find: openFind,
  findNext: () => findAgain(true),
  findPrevious: () => findAgain(false),
  downloads: openDownloads,
};
on("shortcut", ({ name }) => shortcuts[name]?.());
on("fullscreen", ({ on: full }) => { document.body.classList.toggle("fullscreen", full); layout(); });

const paint = () => { toolbar.paint(); pages.paint(); layout(); };
afterMessages(paint);
new ResizeObserver(layout).observe(document.getElementById("page"));
addEventListener("resize", layout);
send("ready");
paint();
