// The command bar.
import assert from "node:assert/strict";
import { test } from "node:test";
import { page, problems, receive, said, serious, tabMessages } from "./harness.js";

const entry = (kind, title, more = {}) => ({ kind, tab: 0, target: "", title, detail: "", matched: [], ...more });
const ENTRIES = [
  entry("tab", "Open page", { tab: 2, detail: "https://example.org/open" }),
  entry("page", "Visited page", { target: "https://example.org/visited", detail: "https://example.org/visited", matched: [0, 1, 2] }),
  entry("command", "Close tab", { target: "close-tab", detail: "Ctrl+W" }),
  entry("setting", "Search engine", { target: "search.engine", detail: "duckduckgo" }),
];

/** Answers the bar's questions with these entries. */
const serve = (entries) => page.evaluate((all) => {
  const post = window.ipc.postMessage;
  window.ipc.postMessage = (text) => {
    post(text);
    const { type, request, typed } = JSON.parse(text);
    if (type === "findAnything") queueMicrotask(() => window.regen.receive([{ type: "found", request, entries: typed.includes("none") ? [] : all }]));
  };
}, entries);
const open = async () => {
  await serve(ENTRIES);
  await receive(...tabMessages, { type: "command", name: "command-bar" });
  await page.getByRole("option").first().waitFor();
};
const bar = () => page.locator("#command-bar");

test("the bar finds while typing, and its keys choose", async () => {
  await open();
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("role")), "combobox");
  assert.deepEqual(await serious(), []);
  await page.keyboard.type("vis");
  assert.deepEqual((await said("findAnything")).map(({ typed }) => typed), ["", "v", "vi", "vis"]);
  assert.equal(await bar().locator("b").textContent(), "Vis");
  await page.keyboard.press("ArrowDown");
  assert.equal(await bar().getByRole("option", { selected: true }).locator(".title").textContent(), "Visited page");
  await page.keyboard.press("Enter");
  assert.equal((await said("navigate")).at(-1).input, "https://example.org/visited");
  assert.equal(await bar().isVisible(), false);
  assert.deepEqual(problems, []);
});

test("Enter chooses from the list of what is typed, however late that comes", async () => {
  await open();
  await page.evaluate(() => {
    const receive = window.regen.receive;
    const post = window.ipc.postMessage;
    window.ipc.postMessage = (text) => {
      window.said.push(JSON.parse(text));
      const { type, request } = JSON.parse(text);
      if (type === "findAnything") window.late = () => receive([{ type: "found", request, entries: [{ kind: "command", tab: 0, target: "print", title: "Print", detail: "", matched: [] }] }]);
    };
  });
  await page.keyboard.type("p");
  await page.keyboard.press("Enter");
  assert.deepEqual(await said("run"), []);
  await page.evaluate(() => window.late());
  await page.waitForFunction(() => window.said.some((message) => message.type === "run" && message.command === "print"));
});

test("tabs are switched to, commands run, and pages opened behind", async () => {
  await open();
  await page.keyboard.press("Enter");
  assert.deepEqual((await said("activateTab")).at(-1), { type: "activateTab", tab: 2 });
  await receive({ type: "command", name: "command-bar" });
  await page.getByRole("option").nth(2).click();
  assert.deepEqual(await said("run"), [{ type: "run", command: "close-tab" }]);
  await receive({ type: "command", name: "command-bar" });
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Control+Enter");
  assert.deepEqual((await said("openTab")).at(-1), { type: "openTab", input: "https://example.org/visited", background: true });
});

test("Escape and a second Ctrl+K close the bar, and the page gets the keyboard back", async () => {
  await open();
  await page.keyboard.press("Escape");
  assert.equal(await bar().isVisible(), false);
  assert.equal((await said("focusPage")).length, 1);
  await receive({ type: "command", name: "command-bar" });
  await receive({ type: "command", name: "command-bar" });
  assert.equal(await bar().isVisible(), false);
});

test("a prefix narrows the list, and no match is said in words", async () => {
  await open();
  await bar().getByRole("button", { name: "> commands" }).click();
  assert.equal((await said("findAnything")).at(-1).typed, ">");
  await receive({ type: "command", name: "command-bar" }, { type: "command", name: "search-tabs" });
  assert.equal((await said("findAnything")).at(-1).typed, "%");
  await page.keyboard.type("none");
  await bar().getByText("Nothing matches.").waitFor();
  await page.keyboard.press("Enter");
  assert.equal(await bar().isVisible(), true);
});

test("a setting is shown on the page of the settings", async () => {
  await open();
  await page.getByRole("option").nth(3).click();
  assert.deepEqual((await said("openTab")).at(-1), { type: "openTab", input: "regen://settings", background: false });
});

for (const scheme of ["light", "dark"]) {
  test(`nothing serious is wrong with it in ${scheme}`, async () => {
    await page.emulateMedia({ colorScheme: scheme });
    await open();
    assert.deepEqual(await serious(), []);
  });
}
