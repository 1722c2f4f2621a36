// Workspaces: the strip of each, the button of the one that is shown, and the panel.
import assert from "node:assert/strict";
import { test } from "node:test";
import { of, page, problems, receive, said, serious } from "./harness.js";

const tab = (id, title, workspace) => ({ type: "tab", tab: { ...of("tab").tab, id, title, workspace } });
const order = (active) => ({ type: "order", tabs: [1, 2, 3, 4], active, first: true });
const start = () => receive(of("workspaces"), tab(1, "News", ""), tab(2, "Mail", "work"), tab(3, "Paper", ""), tab(4, "Plan", "work"), order(1));
const titles = () => page.locator("#tabs .title").allInnerTexts();
const panel = () => page.locator("#workspaces-panel");
const button = () => page.locator("#workspace-button");
const actions = async () => (await said("workspaces")).map(({ action }) => action);

test("the strip has the tabs of the workspace that is shown, and their places count there", async () => {
  await start();
  assert.deepEqual(await titles(), ["News", "Paper"]);
  assert.equal(await button().innerText(), "Default");
  await receive(order(4));
  assert.deepEqual(await titles(), ["Mail", "Plan"]);
  assert.equal(await button().innerText(), "Work");
  // The second of two tabs is moved before the first.
  await page.locator("#tab-4").focus();
  await page.keyboard.press("Control+ArrowLeft");
  assert.deepEqual(await said("moveTab"), [{ type: "moveTab", tab: 4, index: 0 }]);
  // A tab whose site opens elsewhere leaves the strip.
  await receive(tab(2, "Mail", ""));
  assert.deepEqual(await titles(), ["Plan"]);
  assert.deepEqual(await serious(), []);
  assert.deepEqual(problems, []);
});

test("the panel turns to a workspace, makes one, and changes one", async () => {
  await start();
  await button().click();
  assert.deepEqual(await serious(), []);
  assert.match(await panel().innerText(), /Default\s+2 tabs/);
  await panel().getByRole("button", { name: "Work 2 tabs" }).click();
  assert.deepEqual(await actions(), [{ kind: "show", workspace: "work" }]);
  assert.equal(await panel().isVisible(), false);
  await receive({ type: "command", name: "workspaces" });
  await panel().getByLabel("Name of a new workspace").fill("  Shopping ");
  await page.keyboard.press("Enter");
  assert.deepEqual((await actions()).at(-1), { kind: "create", name: "Shopping", throwAway: false });
  await button().click();
  await panel().getByRole("button", { name: "Change Work" }).click();
  assert.deepEqual(await serious(), []);
  const edit = { kind: "edit", workspace: "work", name: null, colour: null, route: null, shields: null };
  await panel().getByLabel("Shields").selectOption("off");
  assert.deepEqual((await actions()).at(-1), { ...edit, shields: "off" });
  await panel().getByLabel("Route").fill("");
  await page.keyboard.press("Tab");
  assert.deepEqual((await actions()).at(-1), { ...edit, route: "default" });
  await panel().getByRole("radio", { name: "green" }).check({ force: true });
  assert.deepEqual((await actions()).at(-1), { ...edit, colour: "green" });
  await panel().getByRole("button", { name: "Open example.org in any workspace" }).click();
  assert.deepEqual((await actions()).at(-1), { kind: "site", url: "https://example.org/", workspace: null });
  assert.deepEqual(problems, []);
});

test("a workspace is deleted only after a second click, and the default one not at all", async () => {
  await start();
  await button().click();
  await panel().getByRole("button", { name: "Change Work" }).click();
  await panel().getByRole("button", { name: "Delete…" }).click();
  assert.deepEqual(await actions(), []);
  await panel().getByRole("button", { name: "Keep" }).click();
  await panel().getByRole("button", { name: "Delete…" }).click();
  await panel().getByRole("button", { name: "Delete", exact: true }).click();
  assert.deepEqual(await actions(), [{ kind: "delete", workspace: "work" }]);
  await panel().getByRole("button", { name: "Change Default" }).click();
  assert.equal(await panel().getByRole("button", { name: "Delete…" }).count(), 0);
});

test("a throw-away workspace cannot be mistaken for another", async () => {
  await page.emulateMedia({ colorScheme: "dark" });
  const bar = () => page.locator("#bars").evaluate((bars) => getComputedStyle(bars).backgroundColor);
  await start();
  const usual = await bar();
  await receive(tab(3, "Paper", "~1"), order(3));
  assert.equal(await button().innerText(), "Throw-away");
  assert.notEqual(await bar(), usual);
  assert.deepEqual(await serious(), []);
  await receive(order(1));
  assert.equal(await bar(), usual);
});

test("a tab's menu opens its page elsewhere, and lets its site always open here", async () => {
  await start();
  await page.locator("#tab-1").click({ button: "right" });
  await page.getByRole("menuitem", { name: "Open in Work" }).click();
  assert.deepEqual(await actions(), [{ kind: "move", tab: 1, workspace: "work" }]);
  await page.locator("#tab-1").click({ button: "right" });
  await page.getByRole("menuitemcheckbox", { name: "Always open example.org in Default" }).click();
  assert.deepEqual((await actions()).at(-1), { kind: "site", url: of("tab").tab.url, workspace: "" });
});
