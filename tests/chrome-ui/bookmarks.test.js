// The star, the bookmarks bar and the page of the bookmarks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { contract, of, page, problems, receive, said, serious, tabMessages } from "./harness.js";

const entry = (id, title, more = {}) => ({ id, parent: 1, url: `https://example.org/${id}`, title, tags: [], ...more });
const folder = (id, title, parent = 1) => ({ id, parent, url: null, title, tags: [] });

/** Answers the chrome's questions about bookmarks as a broker with these would; records its changes in `changes`. */
const serve = async (bookmarks) => {
  await page.evaluate((all) => {
    window.all = all;
    window.changes = [];
    let last = 100;
    const apply = ({ kind, ...fields }) => {
      if (kind === "list") {
        const words = fields.words.toLowerCase();
        const matches = (one) => (fields.parent === null || one.parent === fields.parent) && (!fields.url || one.url === fields.url) && (!fields.folders || one.url === null) && `${one.title} ${one.url}`.toLowerCase().includes(words);
        return { bookmarks: window.all.filter(matches) };
      }
      window.changes.push({ kind, ...fields });
      if (kind === "add") { window.all.push({ id: ++last, tags: [], ...fields }); return { changed: 1, added: last }; }
      if (kind === "remove") { window.removed = window.all; window.all = window.all.filter((one) => one.id !== fields.id); return { changed: 1 }; }
      if (kind === "undo") { window.all = window.removed; return { changed: 1 }; }
      if (fields.title === "refused") return { error: "The reason in words." };
      const given = Object.fromEntries(Object.entries(fields).filter(([key, value]) => value !== null && key !== "place"));
      window.all = window.all.map((one) => (one.id === fields.id ? { ...one, ...given } : one));
      return { changed: 1 };
    };
    const post = window.ipc.postMessage;
    const reply = (message) => {
      if (message.type !== "bookmarks") return;
      const answer = { type: "bookmarks", request: message.request, bookmarks: [], hasMore: false, changed: 0, added: 0, error: "", ...apply(message.action) };
      queueMicrotask(() => window.regen.receive(answer.changed ? [{ type: "bookmarksChanged" }, answer] : [answer]));
    };
    window.ipc.postMessage = (text) => { post(text); reply(JSON.parse(text)); };
    window.regen.receive([{ type: "bookmarksChanged" }]);
  }, bookmarks);
};
const changes = () => page.evaluate(() => window.changes);
const bookmarksTab = () => {
  const tab = { ...contract[3].tab, url: "regen://bookmarks", title: "Bookmarks", hasHost: false, state: "lazy", dialog: null };
  return [{ type: "tab", tab }, { type: "order", tabs: [tab.id], active: tab.id, first: true }];
};

test("the star bookmarks the page, names it, and takes it back", async () => {
  await serve([]);
  await receive(...tabMessages);
  const star = page.locator("#star");
  assert.equal(await star.getAttribute("aria-pressed"), "false");
  await star.click();
  const name = page.locator("#bookmark-panel").getByLabel("Name", { exact: true });
  await name.waitFor();
  assert.deepEqual((await changes())[0], { kind: "add", parent: 2, url: "https://example.org/", title: "Example" });
  await page.waitForFunction(() => document.getElementById("star").ariaPressed === "true");
  assert.deepEqual(await serious(), []);
  await name.fill("refused");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").waitFor();
  assert.match(await page.getByRole("alert").textContent(), /reason in words/);
  await name.fill("Mine");
  await page.getByLabel("Tags").fill("a, b");
  await page.getByRole("button", { name: "Done" }).click();
  await page.locator("#bookmark-panel").waitFor({ state: "hidden" });
  const edited = (await changes()).at(-1);
  assert.deepEqual([edited.title, edited.tags, edited.parent], ["Mine", ["a", " b"], null]);
  await receive({ type: "command", name: "bookmark-page" });
  await page.getByRole("button", { name: "Remove" }).click();
  await page.waitForFunction(() => document.getElementById("star").ariaPressed === "false");
  assert.deepEqual(problems, []);
});

test("the bar shows its entries, opens them, and takes no room without any", async () => {
  await serve([]);
  await receive(...tabMessages);
  const top = () => page.evaluate(() => document.getElementById("page").getBoundingClientRect().y);
  const before = await top();
  await serve([entry(3, "Third"), folder(4, "Folder"), entry(5, "Inside", { parent: 4 })]);
  await page.getByRole("button", { name: "Third" }).waitFor();
  assert.ok(await top() > before);
  await page.getByRole("button", { name: "Third" }).click();
  assert.equal((await said("navigate")).at(-1).input, "https://example.org/3");
  await page.getByRole("button", { name: "Third" }).click({ button: "middle" });
  assert.deepEqual((await said("openTab")).at(-1), { type: "openTab", input: "https://example.org/3", background: true });
  await page.getByRole("button", { name: "Folder" }).click();
  await page.getByRole("menuitem", { name: "Inside" }).click();
  assert.equal((await said("navigate")).at(-1).input, "https://example.org/5");
  assert.deepEqual(await serious(), []);
  await receive({ type: "command", name: "bookmarks-bar" });
  assert.deepEqual((await said("settings")).at(-1).action, { kind: "set", name: "appearance.bookmarks-bar", values: ["off"] });
  await receive({ ...of("followed"), bookmarksBar: false });
  await page.waitForFunction((y) => document.getElementById("page").getBoundingClientRect().y === y, before);
});

test("the page of the bookmarks lists, searches, edits, moves and removes with a way back", async () => {
  await serve([entry(3, "Third"), entry(6, "Sixth", { tags: ["tag"] }), folder(4, "Folder"), entry(5, "Inside", { parent: 4 })]);
  await receive(...bookmarksTab());
  const view = page.locator("#bookmarks");
  const titles = () => view.locator("ul .title").allTextContents();
  await view.getByText("Sixth").waitFor();
  assert.deepEqual(await titles(), ["Third", "Sixth", "Folder"]);
  assert.deepEqual(await serious(), []);
  await view.getByRole("searchbox").fill("insi");
  await page.waitForFunction(() => document.querySelectorAll("#bookmarks ul .title").length === 1);
  assert.deepEqual(await titles(), ["Inside"]);
  await view.getByRole("navigation").getByRole("button", { name: "Bookmarks bar" }).click();
  await view.getByText("Sixth").waitFor();
  await view.locator("ul .open").nth(1).focus();
  await page.keyboard.press("Alt+ArrowUp");
  assert.deepEqual((await changes()).at(-1), { kind: "edit", id: 6, title: null, url: null, tags: null, parent: 1, place: 0 });
  await view.locator("ul .open").first().focus();
  await page.keyboard.press("F2");
  await view.getByLabel("Name", { exact: true }).fill("Renamed");
  await page.keyboard.press("Enter");
  await view.getByText("Renamed").waitFor();
  await view.locator("ul .open").first().focus();
  await page.keyboard.press("Delete");
  await view.getByRole("status").waitFor();
  assert.equal((await titles()).length, 2);
  await view.getByRole("button", { name: "Undo" }).click();
  await view.getByText("Renamed").waitFor();
  await view.locator("ul").getByRole("button", { name: "Folder" }).first().click();
  await view.getByText("Inside").waitFor();
  assert.deepEqual(await titles(), ["Inside"]);
  await view.getByRole("button", { name: "New folder" }).click();
  assert.deepEqual((await changes()).at(-1), { kind: "add", parent: 4, url: null, title: "New folder" });
  assert.deepEqual(problems, []);
});
