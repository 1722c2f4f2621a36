// The panel of the site in front.
import assert from "node:assert/strict";
import { test } from "node:test";
import { of, page, problems, receive, said, serious, tabMessages } from "./harness.js";

/** Answers the panel's questions with this report. */
const serve = (changes = {}) => page.evaluate((report) => {
  const post = window.ipc.postMessage;
  window.ipc.postMessage = (text) => {
    post(text);
    const { type, request } = JSON.parse(text);
    if (type === "site") queueMicrotask(() => window.regen.receive([{ type: "site", request, report }]));
  };
}, { ...of("site").report, ...changes });
const panel = () => page.locator("#site-panel");
const open = async (changes) => {
  await serve(changes);
  await receive(...tabMessages, { type: "command", name: "site-information" });
  await panel().getByText("Number 4711").waitFor();
};

test("the panel names process, storage, route and what was stopped, and lets it pass", async () => {
  await open();
  const text = await panel().innerText();
  for (const words of ["117 MB", "34 KB in 12 files", "EasyList · ||ads.example^"]) assert.ok(text.includes(words), `${words}: ${text}`);
  assert.deepEqual(await serious(), []);
  await panel().getByRole("button", { name: "Allow here: https://ads.example/a.js" }).click();
  const [{ tab }] = await said("site");
  assert.deepEqual(await said("allowHere"), [{ type: "allowHere", tab, url: "https://ads.example/a.js" }]);
  assert.equal(await panel().getByRole("button", { name: "Allowed: https://ads.example/a.js" }).isDisabled(), true);
  await panel().getByLabel("Shields").selectOption("strict");
  assert.deepEqual(await said("siteLevel"), [{ type: "siteLevel", tab, level: "strict" }]);
  assert.deepEqual(problems, []);
});

test("data is cleared only after a second click", async () => {
  await open();
  await panel().getByRole("button", { name: "Clear data…" }).click();
  assert.deepEqual(await said("clearSite"), []);
  assert.deepEqual(await serious(), []);
  await panel().getByRole("button", { name: "Keep" }).click();
  await panel().getByRole("button", { name: "Clear data…" }).click();
  await panel().getByRole("button", { name: "Clear", exact: true }).click();
  assert.equal((await said("clearSite")).length, 1);
  assert.equal(await panel().isVisible(), false);
});

test("a built-in page has no process and nothing to clear", async () => {
  const tab = { ...of("tab").tab, url: "regen://history", site: "", domain: "", hasHost: false };
  await receive({ type: "tab", tab }, { type: "order", tabs: [tab.id], active: tab.id, first: true }, { type: "command", name: "site-information" });
  await panel().getByText("A built-in page of Regen.").waitFor();
  assert.equal(await panel().getByRole("button").count(), 0);
  assert.deepEqual(await said("site"), []);
});

test("nothing serious is wrong with the panel in the dark", async () => {
  await page.emulateMedia({ colorScheme: "dark" });
  await open({ ownLevel: true, level: "off", blocked: [], workspace: "work" });
  assert.match(await panel().innerText(), /Workspace\s+work/);
  assert.deepEqual(await serious(), []);
});
