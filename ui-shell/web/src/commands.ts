// The browser's commands, as the shell told of them: words, keys, and the handlers of those that the chrome carries out.
import type { ChromeCommand } from "./bindings";
import { on, send } from "./bridge";
import { setTooltip } from "./tooltips";

/** Settings that the chrome follows. */
export const followed = { home: "", bookmarksBar: true, restoreSession: false };

const commands = new Map<string, ChromeCommand>();
const handlers = new Map<string, () => void>();

/** Carries a command out in the chrome when the user runs it. */
export const handle = (name: string, run: () => void) => { handlers.set(name, run); };
on("command", ({ name }) => handlers.get(name)?.());

/** Runs a command, wherever it is carried out. */
export const run = (command: string) => send("run", { command });

/** Returns a command; one without words before the shell has told of it. */
export const commandOf = (name: string): ChromeCommand => commands.get(name) ?? { name, words: name, keys: [], inPages: false };

const SIGNS: Record<string, string> = { Plus: "+", Minus: "−", Comma: ",", Period: ".", Slash: "/", PageUp: "Page Up", PageDown: "Page Down" };
/** Returns keys as they stand on the keyboard: `Ctrl++` for `Ctrl+Plus`. */
export const shownKeys = (keys: string) => keys.replace(/[^+]+$/, (key) => SIGNS[key] ?? key);

/** Returns the keys that are shown beside a command; empty: it has none. */
export const keysOf = (name: string) => shownKeys(commandOf(name).keys[0] ?? "");

on("followed", ({ home, bookmarksBar, restoreSession, commands: all }) => {
  Object.assign(followed, { home, bookmarksBar, restoreSession });
  for (const command of all) commands.set(command.name, command);
  // A button's tooltip names the keys of its command.
  for (const button of document.querySelectorAll<HTMLElement>("[data-command]")) {
    const { words, keys } = commandOf(button.dataset.command!);
    setTooltip(button, keys.length ? `${words} (${shownKeys(keys[0])})` : words);
  }
});
