// The bar in which the window asks about rights, and the choices in the site's panel.
import assert from "node:assert/strict";
import { test } from "node:test";
import { of, page, problems, receive, said, serious, tabMessages } from "./harness.js";

const question = (changes = {}) => ({ ...of("permissionQuestion"), ...changes });
const bar = () => page.getByRole("alertdialog", { name: "Permission" });
const button = (name) => bar().getByRole("button", { name });
const mark = () => page.locator("#permission-mark");
const top = () => page.locator("#page").evaluate((box) => box.getBoundingClientRect().top);
const answers = async () => (await said("answerPermission")).map(({ question: number, answer }) => [number, answer]);
const start = () => receive(...tabMessages, { type: "order", tabs: [1, 2], active: 1, first: true });
/** Lets these messages arrive, and clicks the bar's first button in the same moment: what a person clicked before the bar was there. */
const clickAtOnce = (...messages) => page.evaluate(async (all) => {
  window.regen.receive(all);
  await new Promise((done) => setTimeout(done));
  document.querySelector("#permission-bar button").click();
}, messages);

test("a question names its site, moves nothing, and is answered after it has stood still", async () => {
  await start();
  const before = await top();
  await clickAtOnce(question());
  assert.match(await bar().innerText(), /example\.org wants to show notifications/);
  assert.equal(await top(), before);
  assert.deepEqual(await serious(), []);
  assert.deepEqual(await answers(), []);
  // The bar has stood still; then the window comes back to the front, and later the bar moves.
  await button("Allow").click({ trial: true });
  await receive({ type: "windowActive", active: false });
  assert.equal(await button("Allow").isDisabled(), true);
  await clickAtOnce({ type: "windowActive", active: true });
  assert.deepEqual(await answers(), []);
  await button("Allow").click({ trial: true });
  await page.setViewportSize({ width: 1000, height: 860 });
  await clickAtOnce();
  assert.deepEqual(await answers(), []);
  await bar().getByLabel("Time for which it is allowed").selectOption("always");
  await button("Allow").click();
  assert.deepEqual(await answers(), [[4, "always"]]);
  assert.equal(await bar().count(), 0);
  assert.deepEqual(problems, []);
});

test("a question is shown with its tab, and one after the other", async () => {
  await start();
  await receive(question({ question: 5, tab: 2 }), question({ question: 6, kind: "autoplay" }), question({ question: 7, kind: "storageAccess", asker: "ads.example" }));
  assert.match(await bar().innerText(), /wants to play sound by itself/);
  await button("Never").click();
  assert.deepEqual(await answers(), [[6, "never"]]);
  // The next question needs its own time.
  await clickAtOnce();
  assert.match(await bar().innerText(), /example\.org: the embedded site ads\.example wants to use cookies/);
  assert.equal((await answers()).length, 1);
  await button("Allow").click({ trial: true });
  await bar().focus();
  await page.keyboard.press("Escape");
  assert.deepEqual((await answers()).at(-1), [7, "dismissed"]);
  await receive({ type: "order", tabs: [1, 2], active: 2, first: true });
  assert.match(await bar().innerText(), /show notifications/);
  await receive(question({ question: 5, open: false, kind: null }));
  assert.equal(await bar().count(), 0);
});

test("a question without a click is only a mark, and one over which the address is edited becomes one", async () => {
  await page.emulateMedia({ colorScheme: "dark" });
  await start();
  await receive(question({ quiet: true }));
  assert.equal(await bar().count(), 0);
  assert.equal(await mark().isVisible(), true);
  await mark().click();
  assert.equal(await bar().count(), 1);
  assert.equal(await mark().isVisible(), false);
  assert.deepEqual(await serious(), []);
  await receive({ type: "command", name: "address" });
  assert.equal(await bar().count(), 0);
  assert.equal(await mark().isVisible(), true);
  assert.deepEqual(await answers(), []);
});

test("the site's panel shows what its pages may do, and changes it", async () => {
  await page.evaluate((report) => {
    const post = window.ipc.postMessage;
    window.ipc.postMessage = (text) => {
      post(text);
      const { type, request } = JSON.parse(text);
      if (type === "site") queueMicrotask(() => window.regen.receive([{ type: "site", request, report }]));
    };
  }, of("site").report);
  await receive(...tabMessages, { type: "command", name: "site-information" });
  const panel = page.locator("#site-panel");
  await panel.getByLabel("Notifications").selectOption("denied");
  assert.deepEqual((await said("choosePermission")).map(({ kind, state }) => [kind, state]), [["notifications", "denied"]]);
  assert.match(await panel.innerText(), /does not have it yet: location/);
  assert.deepEqual(await serious(), []);
});
