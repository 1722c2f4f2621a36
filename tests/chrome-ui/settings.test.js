// The page of the settings.
import assert from "node:assert/strict";
import { test } from "node:test";
import { contract, of, page, problems, receive, said, serious } from "./harness.js";

const template = of("settings").settings[0];
const setting = (name, kind, values, more = {}) => ({ ...template, name, section: name.split(".")[0], words: `Words of ${name}`, help: "", kind, values, defaults: values, choices: [], unit: "", ...more });
const SETTINGS = [
  setting("startup.restore-session", "switch", ["off"], { help: "Help." }),
  setting("appearance.color-scheme", "choice", ["auto"], { atNextStart: true, choices: [{ value: "auto", words: "Same" }, { value: "dark", words: "Dark" }] }),
  setting("search.engines", "list", ["a=https://a.test/?q=%s"]),
  setting("tabs.sleep-after", "number", ["60"], { unit: "minutes" }),
  setting("history.record", "switch", ["off"], { source: "administrator" }),
  setting("shortcuts.find", "keys", ["Ctrl+F", "F2"]),
];

/** Answers the page's questions as a broker with these settings would. */
const serve = async () => {
  await page.evaluate((all) => {
    window.all = all;
    const post = window.ipc.postMessage;
    const answer = ({ kind, words, name, values }) => {
      if (kind === "list") return { settings: window.all.filter((one) => `${one.name} ${one.words}`.toLowerCase().includes(words.toLowerCase())) };
      if (values?.[0] === "refused") return { error: "The reason in words." };
      window.all = window.all.map((one) => (one.name !== name ? one : values ? { ...one, values, source: "user" } : { ...one, values: one.defaults, source: "default" }));
      return { settings: window.all.filter((one) => one.name === name) };
    };
    window.ipc.postMessage = (text) => {
      post(text);
      const { type, request, action } = JSON.parse(text);
      if (type === "settings") queueMicrotask(() => window.regen.receive([{ type: "settings", request, settings: [], problems: ["settings.toml, line 2: a mistake"], error: "", ...answer(action) }]));
    };
  }, SETTINGS);
  const tab = { ...contract[3].tab, url: "regen://settings", title: "Settings", hasHost: false, state: "lazy", dialog: null };
  await receive({ type: "tab", tab }, { type: "order", tabs: [tab.id], active: tab.id, first: true });
  await page.getByText("Words of tabs.sleep-after").waitFor();
};
const changes = async () => (await said("settings")).map(({ action }) => action).filter(({ kind }) => kind !== "list");
const control = (name) => page.getByLabel(`Words of ${name}`, { exact: true });

test("each kind of setting has a control that changes it at once, and a way back", async () => {
  await serve();
  assert.deepEqual(await serious(), []);
  await control("startup.restore-session").click();
  assert.equal(await control("startup.restore-session").getAttribute("aria-checked"), "true");
  await control("appearance.color-scheme").selectOption("dark");
  await page.getByText("Takes effect at the next start of Regen.").waitFor();
  await control("search.engines").fill("a=https://a.test/?q=%s\n\n b=https://b.test/?q=%s ");
  await control("tabs.sleep-after").fill("5");
  await page.keyboard.press("Enter");
  await control("shortcuts.find").fill("Ctrl+Shift+F");
  await control("shortcuts.find").blur();
  assert.deepEqual(await changes(), [
    { kind: "set", name: "startup.restore-session", values: ["on"] },
    { kind: "set", name: "appearance.color-scheme", values: ["dark"] },
    { kind: "set", name: "search.engines", values: ["a=https://a.test/?q=%s", "b=https://b.test/?q=%s"] },
    { kind: "set", name: "tabs.sleep-after", values: ["5"] },
    { kind: "set", name: "shortcuts.find", values: ["Ctrl+Shift+F"] },
  ]);
  await page.getByRole("button", { name: "Reset “Words of tabs.sleep-after”" }).click();
  await page.waitForFunction(() => document.getElementById("setting-tabs-sleep-after").value === "60");
  assert.deepEqual(problems, []);
});

test("a refused value says why and stays to be corrected; a fixed setting cannot be changed", async () => {
  await serve();
  await control("tabs.sleep-after").fill("refused");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("The reason in words.").waitFor();
  assert.equal(await control("tabs.sleep-after").inputValue(), "refused");
  assert.equal(await control("history.record").isDisabled(), true);
  await page.getByText("Set by this machine’s administrator.").waitFor();
  await page.getByText("settings.toml, line 2: a mistake").waitFor();
  assert.deepEqual(await serious(), []);
});

test("the settings are searched while typing, also from the command bar", async () => {
  await serve();
  await page.getByRole("searchbox", { name: "Search settings" }).fill("SLEEP");
  await page.waitForFunction(() => document.querySelectorAll("#settings li").length === 1);
  await page.getByRole("searchbox", { name: "Search settings" }).fill("nothing has this");
  await page.getByText("No settings match.").waitFor();
});

test("nothing serious is wrong with the page in the dark", async () => {
  await page.emulateMedia({ colorScheme: "dark" });
  await serve();
  assert.deepEqual(await serious(), []);
});
