// The bar with questions about rights, and the mark in the address bar of those that only mark themselves.
import { mountPermissions } from "./permissions";
import { state } from "./tabs.js";

const mark = document.getElementById("permission-mark");
const bar = mountPermissions(document.getElementById("permission-bar"), { marked: (isMarked) => { mark.hidden = !isMarked; } });
document.getElementById("address").addEventListener("focus", () => bar.lower());
mark.addEventListener("click", () => bar.reveal());

/** Shows the questions of the tab in front. */
export const paintPermissions = () => bar.show(state.active);
