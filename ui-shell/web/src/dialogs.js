// Dialogs: the dialog of the active tab's page, drawn over that page only, so that other tabs stay usable; and the
// question before quitting.
import { afterMessages, layout, on, send, setText } from "./bridge";
import { active, tabs } from "./tabs.js";

const get = (id) => document.getElementById(id);
const veil = get("page-veil");
const form = get("page-dialog");
const fields = { text: get("dialog-text"), user: get("dialog-user"), password: get("dialog-password") };

/** Name of the dialog that is shown: “tab number site”. */
let shown = "";
/** Name of the dialog that was answered, until the broker has removed it. */
let answered = "";
/** Drafts in dialogs of inactive tabs, by name. */
const written = new Map();
const nameOf = (tab) => (tab?.dialog ? `${tab.id} ${tab.dialog.number} ${tab.site}` : "");
const tabOf = (name) => Number(name.split(" ")[0]);
const toRow = (element) => element.closest("label");

const words = (tab) => {
  const { kind, server, text } = tab.dialog;
  if (kind === "leave") return ["Leave this page?", "What you entered may not be saved.", "Leave", "Stay"];
  if (kind === "signIn") {
    const host = server.replace(/:(80|443)$/, "");
    return [`Sign in to ${host}`, text ? `The server asks for “${text}”.` : "", "Sign in", "Cancel"];
  }
  return [`${tab.domain || tab.site || "A page"} says`, text, "OK", kind === "alert" ? "" : "Cancel"];
};
const warning = (tab) => {
  const { kind, server, again } = tab.dialog;
  if (kind !== "signIn") return "";
  const host = server.replace(/:\d+$/, "");
  const isOther = host !== tab.domain && !host.endsWith(`.${tab.domain}`);
  return [
    again && "The name or password was not accepted.",
    isOther && `This server does not belong to the site you are viewing, ${tab.domain}.`,
    tab.url.startsWith("http:") && "The connection is not encrypted: others can read what you enter.",
  ].filter(Boolean).join(" ");
};

// A draft lives as long as its dialog, and must never appear in another dialog or site.
const keep = () => {
  if (shown && nameOf(tabs.get(tabOf(shown))) === shown) written.set(shown, Object.values(fields).map((field) => field.value));
  for (const field of Object.values(fields)) field.value = "";
};
const fill = (tab) => {
  const { kind, preset, again } = tab.dialog;
  const [title, text, accept, dismiss] = words(tab);
  setText(get("dialog-title"), title);
  setText(get("dialog-words"), text);
  get("dialog-words").hidden = !text;
  setText(get("dialog-warning"), warning(tab));
  get("dialog-warning").hidden = !warning(tab);
  setText(get("dialog-accept"), accept);
  setText(get("dialog-dismiss"), dismiss);
  get("dialog-dismiss").hidden = !dismiss;
  toRow(fields.text).hidden = kind !== "prompt";
  for (const field of [fields.user, fields.password]) toRow(field).hidden = kind !== "signIn";
  toRow(get("dialog-stop")).hidden = !again || kind === "leave" || kind === "signIn";
  get("dialog-stop").checked = false;
  const [first = preset, ...others] = written.get(nameOf(tab)) ?? [];
  [fields.text.value, fields.user.value, fields.password.value] = [first, others[0] ?? "", others[1] ?? ""];
};

const paint = () => {
  const tab = active();
  const name = nameOf(tab) === answered ? "" : nameOf(tab);
  if (name === shown) return;
  keep();
  const had = form.contains(document.activeElement);
  const typing = !had && document.activeElement?.matches("input");
  shown = name;
  veil.hidden = !name;
  if (name) {
    fill(tab);
    // Focus in the address bar stays there.
    if (!typing) {
      send("focusChrome");
      const first = { prompt: fields.text, signIn: fields.user, leave: get("dialog-dismiss") }[tab.dialog.kind];
      (first ?? get("dialog-accept")).focus();
      if (first === fields.text) first.select();
    }
  } else if (had) {
    send("focusPage");
  }
  layout();
};
afterMessages(paint);

const answer = (accept) => {
  const tab = active();
  if (!tab?.dialog || nameOf(tab) !== shown) return;
  const { kind, number } = tab.dialog;
  const text = { signIn: fields.user.value, prompt: fields.text.value }[kind] ?? "";
  const password = kind === "signIn" ? fields.password.value : "";
  send("answerDialog", { tab: tab.id, dialog: number, accept, text, password, stop: get("dialog-stop").checked });
  answered = shown;
  paint();
  written.delete(answered);
};
form.addEventListener("submit", (event) => { event.preventDefault(); answer(true); });
get("dialog-dismiss").addEventListener("click", () => answer(false));
form.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  event.preventDefault();
  answer(false);
});
const forget = () => {
  if (answered && nameOf(tabs.get(tabOf(answered))) !== answered) answered = "";
  for (const name of written.keys()) if (nameOf(tabs.get(tabOf(name))) !== name) written.delete(name);
};
on("tab", forget);
on("tabClosed", forget);

// ── before the window quits ──
const quit = get("quit");
const closeQuit = () => {
  quit.hidden = true;
  // The choice of tabs uses the same veil.
  get("veil").hidden = get("choice").hidden;
  send("focusPage");
  layout();
};
const count = (number, one, many) => (number === 1 ? `1 ${one}` : `${number} ${many}`);
on("quitQuestion", ({ downloads, pages }) => {
  setText(get("quit-words"), [
    downloads && `${count(downloads, "download is", "downloads are")} not finished.`,
    pages && `${count(pages, "page asks", "pages ask")} you to confirm leaving: what you entered there may not be saved.`,
  ].filter(Boolean).join(" "));
  quit.hidden = false;
  get("veil").hidden = false;
  send("focusChrome");
  get("quit-cancel").focus();
  layout();
});
get("quit-cancel").addEventListener("click", closeQuit);
get("quit-anyway").addEventListener("click", () => send("quitAnyway"));
quit.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.preventDefault(); closeQuit(); } });
