// The history, and the completion of the address bar.
import assert from "node:assert/strict";
import { test } from "node:test";
import { contract, page, problems, receive, said, serious, tabMessages } from "./harness.js";

const historyTab = (url = "regen://history") => {
  const tab = { ...contract[3].tab, url, title: "History", hasHost: false, state: "lazy", dialog: null };
  return [{ type: "tab", tab }, { type: "order", tabs: [tab.id], active: tab.id, first: true }];
};
/** Waits for a question of the chrome, and answers it. */
const answer = async (type, count, reply) => {
  await page.waitForFunction(([kind, number]) => window.said.filter((message) => message.type === kind).length >= number, [type, count]);
  const asked = (await said(type)).at(-1);
  await receive({ ...reply, request: asked.request });
  return asked;
};
const visit = (id, title, hoursAgo = 0) => ({ id, title, at: Math.floor(Date.now() / 1000) - hoursAgo * 3600, url: `https://www.example.org/${id}`, workspace: "" });
const visits = (list, more = {}) => ({ type: "visits", visits: list, hasMore: false, changed: 0, ...more });

test("the history is listed by day, searched, and deleted with a way back", async () => {
  await receive(...historyTab());
  const first = await answer("visits", 1, visits([visit(3, "Third"), visit(2, "", 0), visit(1, "First", 24 * 40)]));
  assert.deepEqual([first.action, first.words, first.after], ["list", "", 0]);
  const history = page.locator("#history");
  assert.equal(await history.locator("h2").count(), 2);
  assert.match(await history.locator("h2").first().textContent(), /^Today/);
  assert.deepEqual(await history.locator(".title").allTextContents(), ["Third", "https://www.example.org/2", "First"]);
  assert.deepEqual(await serious(), []);
  await history.getByRole("searchbox").fill("thi");
  assert.equal((await answer("visits", 2, visits([visit(3, "Third")]))).words, "thi");
  assert.equal(await history.locator("li").count(), 1);
  // Delete with the keyboard, and take it back.
  await history.getByRole("searchbox").press("ArrowDown");
  await page.keyboard.press("Delete");
  assert.deepEqual((await answer("visits", 3, visits([], { changed: 1 }))).visits, [3]);
  await answer("visits", 4, visits([]));
  assert.match(await history.getByRole("status").textContent(), /1 visit deleted/);
  await history.getByRole("button", { name: "Undo" }).click();
  assert.equal((await answer("visits", 5, visits([], { changed: 1 }))).action, "undo");
  await answer("visits", 6, visits([visit(3, "Third")]));
  assert.equal(await history.locator("li").count(), 1);
  // Everything that is selected is deleted only after a question.
  await history.getByRole("button", { name: "Delete these visits…" }).click();
  assert.equal((await said("visits")).length, 6);
  await history.getByRole("button", { name: "Delete", exact: true }).first().click();
  assert.deepEqual((await answer("visits", 7, visits([], { changed: 1 }))).words, "thi");
  assert.deepEqual(problems, []);
});

test("a visit opens in the tab, and with Ctrl in a new one", async () => {
  await receive(...historyTab());
  await answer("visits", 1, visits([visit(3, "Third")]));
  await page.getByRole("button", { name: /Third/ }).first().click();
  assert.equal((await said("navigate")).at(-1).input, "https://www.example.org/3");
  await page.getByRole("button", { name: /Third/ }).first().click({ modifiers: ["Control"] });
  assert.deepEqual((await said("openTab")).at(-1), { type: "openTab", input: "https://www.example.org/3", background: true });
});

test("a long list asks for its rest when it is scrolled, and an answer that is out of date is dropped", async () => {
  await receive(...historyTab());
  const many = Array.from({ length: 100 }, (_, index) => visit(1000 - index, `Page ${index}`));
  await answer("visits", 1, visits(many, { hasMore: true }));
  await page.locator("#history .list").evaluate((list) => { list.scrollTop = list.scrollHeight; });
  assert.equal((await answer("visits", 2, visits([visit(7, "Older")]))).after, 901);
  assert.equal(await page.locator("#history li").count(), 101);
  await page.getByRole("searchbox").fill("a");
  await page.waitForFunction(() => window.said.filter((message) => message.type === "visits").length === 3);
  const late = (await said("visits")).at(-1).request;
  await page.getByRole("searchbox").fill("ab");
  await answer("visits", 4, visits([visit(5, "New")]));
  await receive({ ...visits([visit(6, "Late")]), request: late });
  assert.deepEqual(await page.locator("#history .title").allTextContents(), ["New"]);
});

const suggestions = [
  { url: "https://example.org/", title: "Example", tab: 2 },
  { url: "https://example.org/page", title: "", tab: 0 },
];
const completions = (rest = "") => ({ type: "completions", suggestions, inlineRest: rest, inlineUrl: rest && "https://example.org/" });

test("what is typed is completed in the field, and Enter opens the address that is meant", async () => {
  await receive(...tabMessages);
  const address = page.locator("#address");
  await address.click();
  await page.keyboard.press("Control+A");
  await page.keyboard.type("exa");
  const asked = await answer("complete", 3, completions("mple.org/"));
  assert.equal(asked.typed, "exa");
  await page.waitForFunction(() => document.getElementById("address").value === "example.org/");
  assert.deepEqual(await address.evaluate((field) => [field.selectionStart, field.selectionEnd]), [3, 12]);
  assert.equal(await page.locator("#completions [role=option]").count(), 2);
  assert.deepEqual(await serious(), []);
  // Deleting the completed part leaves what was typed, and completes no more.
  await page.keyboard.press("Backspace");
  await answer("complete", 4, completions("mple.org/"));
  assert.equal(await address.inputValue(), "exa");
  await page.keyboard.type("m");
  await answer("complete", 5, completions("ple.org/"));
  await page.waitForFunction(() => document.getElementById("address").value === "example.org/");
  await page.keyboard.press("Enter");
  assert.equal((await said("navigate")).at(-1).input, "https://example.org/");
  assert.equal(await page.locator("#completions").isVisible(), false);
  assert.deepEqual(problems, []);
});

test("a suggestion is chosen with the arrow keys or the mouse, and Escape gives it up", async () => {
  await receive(...tabMessages);
  const address = page.locator("#address");
  await address.click();
  await page.keyboard.press("Control+A");
  await page.keyboard.type("x");
  await answer("complete", 1, completions());
  await page.locator("#completions [role=option]").first().waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  assert.equal(await address.inputValue(), "https://example.org/page");
  assert.equal(await address.getAttribute("aria-activedescendant"), "completion-1");
  await page.keyboard.press("Escape");
  assert.equal(await address.inputValue(), "x");
  assert.equal(await page.locator("#completions").isVisible(), false);
  assert.equal((await said("navigate")).length, 0);
  await page.keyboard.type("y");
  await answer("complete", 2, completions());
  await page.getByRole("option").first().click();
  assert.equal((await said("activateTab")).at(-1).tab, 2);
});

test("a suggestion covers the page only while it is shown", async () => {
  await receive(...tabMessages);
  await page.locator("#address").click();
  await page.keyboard.type("x");
  await answer("complete", 1, completions());
  await page.locator("#completions [role=option]").first().waitFor();
  const covers = async () => (await said("layout")).at(-1).covers.length;
  const open = await covers();
  await page.locator("#address").evaluate((field) => field.blur());
  await page.waitForFunction((before) => window.said.filter((one) => one.type === "layout").at(-1).covers.length < before, open);
});
