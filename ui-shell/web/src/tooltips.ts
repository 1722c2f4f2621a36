// Tooltips of buttons, which hide while the button's menu or panel is open, as they would cover it.
import { setAttribute } from "./bridge";

/** Tooltips of the buttons whose menu or panel is open. */
const held = new Map<Element, string>();

/** Sets a button's tooltip; it shows once its menu or panel is closed. */
export const setTooltip = (button: Element, words: string) => {
  if (held.has(button)) held.set(button, words);
  else setAttribute(button, "title", words);
};

/** Hides a button's tooltip. A button without a name keeps the tooltip's words as its name. */
export const hideTooltip = (button: Element) => {
  const words = button.getAttribute("title") ?? "";
  if (!words || held.has(button)) return;
  if (!button.hasAttribute("aria-label")) button.setAttribute("aria-label", words);
  held.set(button, words);
  button.setAttribute("title", "");
};

/** Shows a hidden tooltip again, with the words that it has got since. */
export const showTooltip = (button: Element) => {
  const words = held.get(button);
  if (words === undefined) return;
  held.delete(button);
  setAttribute(button, "title", words);
};
