// The chrome's bars, panels and dialogs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { contract, of, page, problems, receive, said, serious, tabMessages } from "./harness.js";

test("every message of the contract is understood", async () => {
  await receive(...contract);
  assert.deepEqual(problems, []);
  assert.equal(await page.locator("[role=tab]").count(), 4);
});

test("tabs are shown in order, with the active one selected", async () => {
  await receive(...tabMessages);
  const tabs = page.locator("[role=tab]");
  assert.equal(await tabs.nth(0).getAttribute("aria-selected"), "true");
  assert.match(await tabs.nth(1).getAttribute("aria-label"), /Loading, loading/);
  assert.match(await tabs.nth(2).getAttribute("aria-label"), /crashed/);
  assert.equal(await page.locator("#address").inputValue(), "https://example.org/");
  await tabs.nth(1).click();
  assert.deepEqual(await said("activateTab"), [{ type: "activateTab", tab: 2 }]);
  await tabs.nth(1).click({ button: "middle" });
  assert.deepEqual(await said("closeTab"), [{ type: "closeTab", tab: 2 }]);
});

test("the way of a page's connections, what was stopped and what it waits for are shown", async () => {
  await receive(...tabMessages);
  assert.equal(await page.locator("#route").isVisible(), false);
  assert.equal(await page.locator("#blocked").isVisible(), false);
  const [{ tab }] = tabMessages;
  const waiting = { ...tab, state: "loading", reason: "Tor is starting: 7 %", route: "tor → block", blocked: 3 };
  await receive({ type: "tab", tab: waiting });
  assert.equal(await page.locator("#route").innerText(), "Tor");
  assert.equal(await page.locator("#blocked").innerText(), "3 blocked");
  assert.equal(await page.locator("#pending").innerText(), "Tor is starting: 7 %");
  await page.locator("#security").click();
  assert.match(await page.locator("#site-panel").innerText(), /tor → block\.[\s\S]*blocked 3 requests/);
  await receive({ type: "tab", tab: { ...waiting, state: "ready", reason: "", route: "direct → block", blocked: 0 } });
  assert.equal(await page.locator("#pending").isVisible(), false);
  assert.equal(await page.locator("#route").isVisible(), false);
});

test("an address is sent as typed, and Escape gives the old one back", async () => {
  await receive(...tabMessages);
  const address = page.locator("#address");
  await address.fill("rust lang");
  await address.press("Escape");
  assert.equal(await address.inputValue(), "https://example.org/");
  await address.fill("rust lang");
  await address.press("Enter");
  assert.deepEqual(await said("navigate"), [{ type: "navigate", tab: 1, input: "rust lang" }]);
});

test("a sad tab says why and offers Reload", async () => {
  await receive(...tabMessages, { type: "order", tabs: [1, 2, 3, 4], active: 3, first: true });
  const card = page.locator("#own-page");
  assert.match(await card.innerText(), /keeps crashing[\s\S]*SIGSEGV/);
  await card.getByRole("button", { name: "Reload" }).click();
  assert.deepEqual(await said("reload"), [{ type: "reload", tab: 3, bypassCache: false }]);
});

test("a page that is not encrypted says so and is opened only when its user agrees", async () => {
  const [{ tab }] = tabMessages;
  const insecure = { ...tab, state: "insecure", url: "http://plain.test/", reason: "There is no encrypted connection to it.", hasHost: false };
  await receive(...tabMessages, { type: "tab", tab: insecure });
  const card = page.locator("#own-page");
  assert.match(await card.innerText(), /not encrypted[\s\S]*plain\.test[\s\S]*Anyone on the network/);
  assert.deepEqual(await serious(), []);
  await card.getByRole("button", { name: "Continue without encryption" }).click();
  assert.deepEqual(await said("allowInsecure"), [{ type: "allowInsecure", tab: 1 }]);
  await receive({ type: "tab", tab });
  assert.equal(await card.isVisible(), false);
});

test("the earlier session is offered once and answered", async () => {
  await receive(...tabMessages, of("sessionOffer"));
  assert.match(await page.locator("#notices").innerText(), /Restore previous session\? 2 tabs/);
  await page.getByRole("button", { name: "Restore", exact: true }).click();
  assert.deepEqual(await said("answerSession"), [{ type: "answerSession", session: 3, restore: true, tabs: [] }]);
  assert.equal(await page.locator(".notice").count(), 0);
});

test("a VPN that was never up is asked about, until somebody has answered", async () => {
  const question = of("vpnQuestion");
  await receive(...tabMessages, question);
  assert.match(await page.locator("#notices").innerText(), /VPN “home” \(vpn\.example\.org\)/);
  assert.deepEqual(await serious(), []);
  await page.getByRole("button", { name: "Keep it off" }).click();
  await receive(question, { ...question, asked: true });
  assert.equal(await page.locator(".notice").count(), 1, "the question is not shown exactly once");
  await page.getByRole("button", { name: "Allow" }).click();
  const answers = await said("answerVpn");
  assert.deepEqual(answers.map(({ name, allow }) => [name, allow]), [["home", false], ["home", true]]);
  await receive(question, { ...question, asked: false });
  assert.equal(await page.locator(".notice").count(), 0, "a question that was answered elsewhere stays");
});

test("some tabs of the earlier session are chosen", async () => {
  await receive(...tabMessages, of("sessionOffer"));
  await page.getByRole("button", { name: "Choose tabs…" }).click();
  const boxes = page.locator("#choice-list input");
  assert.equal(await boxes.count(), 2);
  assert.deepEqual(await serious(), []);
  await boxes.nth(0).uncheck();
  await page.getByRole("button", { name: "Restore 1 tab" }).click();
  assert.deepEqual(await said("answerSession"), [{ type: "answerSession", session: 3, restore: true, tabs: [2] }]);
  assert.equal(await page.locator("#choice").isVisible(), false);
  // Cancelling offers the session again.
  await receive(of("sessionOffer"));
  await page.getByRole("button", { name: "Choose tabs…" }).click();
  await boxes.nth(0).uncheck();
  await boxes.nth(1).uncheck();
  assert.equal(await page.locator("#choice-open").isDisabled(), true);
  await page.keyboard.press("Escape");
  assert.equal((await said("offerSession")).length, 1);
});

test("the menu and the tooltips show the commands with the keys that the user set", async () => {
  const followed = of("followed");
  const commands = followed.commands.map((command) => (command.name === "new-tab" ? { ...command, keys: ["Ctrl+Shift+Y"] } : command));
  await receive(...tabMessages, { ...followed, commands });
  assert.equal(await page.locator("#new-tab").getAttribute("title"), "New tab (Ctrl+Shift+Y)");
  await page.locator("#menu-button").click();
  await page.getByRole("menuitem", { name: "New tab Ctrl+Shift+Y" }).click();
  assert.deepEqual(await said("run"), [{ type: "run", command: "new-tab" }]);
});

test("the layout names every part that covers the page", async () => {
  await receive(...tabMessages);
  await page.waitForTimeout(100);
  const closed = (await said("layout")).at(-1);
  assert.equal(closed.covers.length, 1, JSON.stringify(closed));
  assert.equal(closed.page.y, closed.covers[0].height);
  await page.locator("#menu-button").click();
  await page.waitForFunction(() => window.said.filter((m) => m.type === "layout").at(-1).covers.length === 2);
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => window.said.filter((m) => m.type === "layout").at(-1).covers.length === 1);
});

test("the menu works with the keyboard alone", async () => {
  await receive(...tabMessages);
  await page.locator("#menu-button").focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  assert.deepEqual(await said("run"), [{ type: "run", command: "quit" }]);
});

test("tabs are reached and moved with arrow keys", async () => {
  await receive(...tabMessages);
  await page.locator("#tab-1").focus();
  await page.keyboard.press("ArrowRight");
  assert.deepEqual(await said("activateTab"), [{ type: "activateTab", tab: 2 }]);
  await page.keyboard.press("Control+ArrowRight");
  assert.deepEqual(await said("moveTab"), [{ type: "moveTab", tab: 2, index: 2 }]);
});

test("find sends the text, steps and ends", async () => {
  await receive(...tabMessages, of("command"));
  await page.locator("#find-text").fill("word");
  await receive(of("findResult"));
  assert.equal(await page.locator("#find-count").innerText(), "3 of 7");
  await receive({ ...of("findResult"), position: 0 });
  assert.equal(await page.locator("#find-count").innerText(), "7 matches");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.press("Escape");
  const finds = await said("find");
  assert.deepEqual(finds.map(({ text, forward, next }) => [text, forward, next]), [["word", true, false], ["word", false, true], ["", true, false]]);
});

test("the find bar belongs to its tab", async () => {
  await receive(...tabMessages);
  const order = of("order");
  await receive({ type: "command", name: "find" });
  assert.equal(await page.locator("#find").isVisible(), true);
  await receive({ ...order, active: order.tabs.find((tab) => tab !== order.active) });
  assert.equal(await page.locator("#find").isVisible(), false, "the find bar stays over another tab");
});

test("a site that wants to save several files is asked about once", async () => {
  await receive(...tabMessages, of("downloadQuestion"));
  assert.match(await page.locator("#notices").innerText(), /example\.org to save 3 more files/);
  await receive({ ...of("downloadQuestion"), files: 4 });
  assert.equal(await page.locator("#notices .notice").count(), 1);
  await page.getByRole("button", { name: "Allow" }).click();
  assert.deepEqual(await said("answerDownloads"), [{ type: "answerDownloads", site: "https://example.org", workspace: "", allow: true }]);
});

test("an address for another program is opened by its user only", async () => {
  await receive(...tabMessages, of("outsideQuestion"));
  assert.match(await page.locator("#notices").innerText(), /example\.org wants to open “mailto:somebody@example\.org” in another program/);
  await receive({ ...of("outsideQuestion"), url: "tel:1" });
  assert.equal(await page.locator("#notices .notice").count(), 1);
  assert.deepEqual(await said("openOutside"), []);
  await page.getByRole("button", { name: "Open", exact: true }).click();
  assert.deepEqual(await said("openOutside"), [{ type: "openOutside", url: "tel:1" }]);
});

test("what was typed into the address bar stays with its tab", async () => {
  await receive(...tabMessages);
  const show = (active) => receive({ ...of("order"), active });
  await page.locator("#address").fill("half an addr");
  await show(2);
  assert.equal(await page.locator("#address").inputValue(), "https://example.org/slow");
  await show(1);
  assert.equal(await page.locator("#address").inputValue(), "half an addr");
  assert.equal(await page.evaluate(() => document.activeElement.id), "address");
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#address").inputValue(), "https://example.org/");
});

test("a tab follows the pointer and stays where it is let go", async () => {
  await receive(...tabMessages);
  const box = async (id) => page.locator(`#tab-${id}`).boundingBox();
  const [first, third] = [await box(1), await box(3)];
  await page.mouse.move(first.x + 60, first.y + 10);
  await page.mouse.down();
  await page.mouse.move(third.x + third.width - 20, third.y + 12, { steps: 12 });
  await page.mouse.up();
  assert.deepEqual(await said("moveTab"), [{ type: "moveTab", tab: 1, index: 2 }]);
  assert.equal(await page.evaluate(() => String(getSelection())), "");
});

test("the domain of an address is emphasised and never out of view", async () => {
  const [{ tab }] = tabMessages;
  const shown = () => page.locator("#address-parts .domain");
  const open = (url, domain) => receive({ type: "tab", tab: { ...tab, url, address: url, domain } });
  await receive(...tabMessages);
  assert.equal(await shown().innerText(), "example.org");
  for (const url of [`https://${"login.bank.com.".repeat(15)}evil.example/${"in/".repeat(60)}`, "https://evil.example:8443/?https://bank.com"]) {
    await open(url, "evil.example");
    assert.equal(await shown().innerText(), "evil.example");
    const [field, domain] = [await page.locator("#address").boundingBox(), await shown().boundingBox()];
    assert.ok(domain.x >= field.x && domain.x + domain.width <= field.x + field.width, `${url}: ${JSON.stringify([field, domain])}`);
    assert.equal(await page.locator("#address").inputValue(), url, "the field does not hold the whole address");
  }
  assert.deepEqual(await serious(), []);
  await page.locator("#address").focus();
  assert.equal(await shown().isVisible(), false, "the parts are shown while the address is edited");
  await page.locator("#address").blur();
  await open("http://localhost:8000/x", "localhost");
  assert.equal(await shown().innerText(), "localhost");
  // A name in another script is shown in it, and the field holds the address as it is sent.
  const encoded = "https://www.xn--bcher-kva.example/";
  await receive({ type: "tab", tab: { ...tab, url: encoded, address: "https://www.bücher.example/", domain: "bücher.example" } });
  assert.equal(await shown().innerText(), "bücher.example");
  assert.equal(await page.locator("#address").inputValue(), encoded);
  await open("", "");
  assert.equal(await shown().isVisible(), false);
});

test("an address in the private network is opened only when its user agrees", async () => {
  const [{ tab }] = tabMessages;
  const reason = "https://evil.test is on the internet and tried to open an address on this computer.";
  await receive(...tabMessages, { type: "tab", tab: { ...tab, state: "private", url: "http://192.168.1.1/", reason, hasHost: false } });
  const card = page.locator("#own-page");
  assert.match(await card.innerText(), /your private network[\s\S]*192\.168\.1\.1[\s\S]*evil\.test/);
  assert.deepEqual(await serious(), []);
  await card.getByRole("button", { name: "Open it anyway" }).click();
  assert.deepEqual(await said("allowPrivate"), [{ type: "allowPrivate", tab: 1 }]);
});

/** A download from its first moment. */
const begins = () => [{ type: "download", download: { ...of("download").download, state: "queued", received: 0 } }, of("download")];

test("the panel that a download opens leaves a question's buttons free", async () => {
  await receive(...tabMessages, ...begins(), of("downloadQuestion"));
  const panel = await page.locator("#downloads-panel").boundingBox();
  const notice = await page.locator(".notice").boundingBox();
  assert.ok(panel.y >= notice.y + notice.height, `the panel is at ${panel.y}, the question ends at ${notice.y + notice.height}`);
  await page.locator(".notice button").first().click();
});

test("a download shows its progress and can be cancelled", async () => {
  await receive(...tabMessages, ...begins());
  assert.match(await page.locator("#downloads").innerText(), /file.iso[\s\S]*500 B of 1.0 KB/);
  await page.getByRole("button", { name: "Cancel file.iso" }).click();
  assert.deepEqual(await said("download"), [{ type: "download", action: "cancel", download: 1 }]);
});

test("what is seen of the chrome is drawn over the page, and bubbles let clicks through", async () => {
  await receive(...tabMessages, { type: "order", tabs: [1, 2, 3, 4], active: 1, first: true });
  await page.evaluate(() => { window.said.length = 0; });
  await receive({ type: "hover", url: "http://bubble.example/" });
  await page.waitForFunction(() => window.said.some((message) => message.type === "layout"));
  const bubble = await page.locator("#hover").boundingBox();
  const within = ({ x, y, width, height }) => x <= bubble.x && y <= bubble.y
    && x + width >= bubble.x + bubble.width && y + height >= bubble.y + bubble.height;
  const last = (await said("layout")).at(-1);
  assert.ok(last.shown.some(within), JSON.stringify(last));
  assert.ok(!last.covers.some(within), JSON.stringify(last));
  assert.ok(last.shown.length < 4, "closed panels are drawn");
});

test("a button's tooltip does not lie over the panel that it opens", async () => {
  await receive(...tabMessages);
  const menu = page.locator("#menu-button");
  assert.equal(await menu.getAttribute("title"), "Menu (F10)");
  await menu.click();
  assert.equal(await menu.getAttribute("title"), "");
  assert.deepEqual(await serious(), []);
  await page.keyboard.press("Escape");
  assert.equal(await menu.getAttribute("title"), "Menu (F10)");
});

test("a download that broke off says that it goes on, and can still be cancelled", async () => {
  const { download } = of("download");
  await receive(...tabMessages, ...begins(), { type: "download", download: { ...download, state: "interrupted", error: "the page's process ended" } });
  assert.match(await page.locator("#downloads").innerText(), /file.iso[\s\S]*Interrupted, resumes by itself: the page's process ended/);
  await page.getByRole("button", { name: "Cancel file.iso" }).click();
  assert.deepEqual(await said("download"), [{ type: "download", action: "cancel", download: 1 }]);
});

test("a press is not lost when what it is on changes before the release", async () => {
  await receive(...tabMessages, ...begins());
  const { download } = of("download");
  const cancel = await page.getByRole("button", { name: "Cancel file.iso" }).boundingBox();
  await page.mouse.move(cancel.x + 8, cancel.y + 8);
  await page.mouse.down();
  await receive({ type: "download", download: { ...download, received: download.received + 1 } });
  await page.mouse.up();
  assert.deepEqual(await said("download"), [{ type: "download", action: "cancel", download: download.id }]);
  // Focus goes back to the page even if the pressed element was repainted meanwhile.
  await page.evaluate(() => { window.said.length = 0; document.querySelector("#tab-1 .title").firstChild.isOld = true; });
  await page.keyboard.press("Escape");
  await page.locator("#tab-1 .title").hover();
  await page.mouse.down();
  await receive(...tabMessages);
  assert.ok(await page.evaluate(() => document.querySelector("#tab-1 .title").firstChild.isOld), "an unchanged title was repainted");
  await receive({ ...tabMessages[0], tab: { ...tabMessages[0].tab, title: "Another" } });
  await page.evaluate(() => document.addEventListener("click", (event) => event.stopImmediatePropagation(), true));
  await page.mouse.up();
  await page.waitForFunction(() => window.said.some((message) => message.type === "focusPage"));
});

test("a dialog of a page stands over that page alone, and keeps what was written into it", async () => {
  const asking = tabMessages.find((message) => message.tab?.dialog);
  await receive(...tabMessages, { type: "order", tabs: [1, 2, 3, 4], active: 1, first: true });
  assert.equal(await page.locator("#page-veil").isVisible(), false);
  assert.ok(await page.locator(`#tab-${asking.tab.id}.asks`).count(), "the tab of the dialog is not marked");
  const front = (active) => receive({ type: "order", tabs: [1, 2, 3, 4], active, first: true });
  await front(asking.tab.id);
  assert.match(await page.locator("#page-dialog").innerText(), /example.org says[\s\S]*Who is there\?/);
  assert.equal(await page.evaluate(() => document.activeElement.value), "me");
  await page.locator("#dialog-text").fill("you");
  await front(1);
  assert.equal(await page.locator("#page-veil").isVisible(), false);
  await front(asking.tab.id);
  assert.equal(await page.locator("#dialog-text").inputValue(), "you");
  await page.getByLabel("Block further dialogs from this page").check();
  await page.keyboard.press("Enter");
  const { number } = asking.tab.dialog;
  assert.deepEqual(await said("answerDialog"), [{ type: "answerDialog", tab: asking.tab.id, dialog: number, accept: true, text: "you", password: "", stop: true }]);
  await receive({ ...asking, tab: { ...asking.tab, dialog: null } });
  assert.equal(await page.locator("#page-veil").isVisible(), false);
});

test("what was written into a dialog is for that dialog alone", async () => {
  const asking = (site, kind, dialog) => ({
    type: "tab",
    tab: { ...tabMessages[0].tab, site, dialog: kind && { number: 1, kind, text: "?", preset: "", server: "a.test:80", again: false, ...dialog } },
  });
  await receive(...tabMessages, asking("https://a.test", "prompt"));
  await page.locator("#dialog-text").fill("secret");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("#page-veil").isVisible(), false, "an answered dialog stays");
  await receive(asking("https://a.test", null));
  // Dialogs with the same number: of another site, and of the same site again.
  for (const site of ["https://b.test", "https://a.test"]) {
    await receive(asking(site, "prompt"));
    assert.equal(await page.locator("#dialog-text").inputValue(), "");
    await receive(asking(site, null), asking(site, "alert"));
    await page.keyboard.press("Enter");
    assert.equal((await said("answerDialog")).at(-1).text, "");
    await receive(asking(site, null), asking(site, "signIn"));
    await page.locator("#dialog-password").fill("secret");
    await receive(asking("https://c.test", "signIn"));
    assert.equal(await page.locator("#dialog-password").inputValue(), "");
    await receive(asking("https://c.test", null));
  }
});

test("a sign-in names the server that asks, and says when that is another than what is seen", async () => {
  const dialog = { number: 9, kind: "signIn", text: "vault", preset: "", server: "elsewhere.test:443", again: true };
  const tab = { ...tabMessages[0].tab, dialog };
  await receive(...tabMessages, { type: "tab", tab });
  const words = await page.locator("#page-dialog").innerText();
  assert.match(words, /Sign in to elsewhere.test\b[\s\S]*vault[\s\S]*not accepted[\s\S]*does not belong to the site you are viewing, example.org/);
  await page.locator("#page-dialog").getByLabel("Name").fill("somebody");
  await page.locator("#page-dialog").getByLabel("Password").fill("secret");
  await page.keyboard.press("Escape");
  assert.equal((await said("answerDialog"))[0].accept, false);
});

test("the caret of somebody who writes an address is left alone by a page that asks", async () => {
  await receive(...tabMessages);
  await page.locator("#address").focus();
  await page.locator("#address").fill("exam");
  await receive({ type: "tab", tab: { ...tabMessages[0].tab, dialog: { number: 1, kind: "alert", text: "hello", preset: "", server: "", again: false } } });
  assert.ok(await page.locator("#page-veil").isVisible());
  await page.keyboard.type("ple");
  assert.equal(await page.locator("#address").inputValue(), "example");
});

test("quitting asks about what it would interrupt, and the harmless answer has the keyboard", async () => {
  await receive(...tabMessages, of("quitQuestion"));
  assert.match(await page.locator("#quit").innerText(), /2 downloads are not finished[\s\S]*1 page asks you to confirm leaving/);
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("#quit").isVisible(), false);
  assert.deepEqual(await said("quitAnyway"), []);
  await receive(of("quitQuestion"));
  await page.getByRole("button", { name: "Quit", exact: true }).click();
  assert.equal((await said("quitAnyway")).length, 1);
});

test("a page that fills the screen takes the bars away, and its user is told whose it is", async () => {
  await receive(...tabMessages, of("fullscreen"));
  assert.equal(await page.locator("#bars").isVisible(), false);
  assert.match(await page.locator("#fills").innerText(), /example.org is in full screen. Press Esc/);
  await receive({ type: "fullscreen", on: false, byPage: false });
  assert.ok(await page.locator("#bars").isVisible());
  assert.equal(await page.locator("#fills").isVisible(), false);
});

test("a page's words never become markup", async () => {
  const tab = structuredClone(tabMessages[0]);
  tab.tab.title = "<img src=x onerror=alert(1)>";
  await receive(tab, ...tabMessages.slice(1), { type: "hover", url: "https://x/<b>" });
  assert.equal(await page.locator("#tabs img, #hover b").count(), 0);
  assert.match(await page.locator("#tab-1").innerText(), /<img/);
});

test("a tab's tooltip does not cover its menu, and has the page's new title afterwards", async () => {
  await receive(...tabMessages);
  const button = page.locator("#tab-1");
  const usual = await button.getAttribute("title");
  assert.notEqual(usual, "");
  await button.click({ button: "right" });
  assert.equal(await button.getAttribute("title"), "");
  const tab = structuredClone(of("tab"));
  Object.assign(tab.tab, { id: 1, title: "Loaded meanwhile" });
  await receive(tab);
  assert.equal(await button.getAttribute("title"), "");
  await page.keyboard.press("Escape");
  assert.match(await button.getAttribute("title"), /^Loaded meanwhile/);
});

for (const scheme of ["light", "dark"]) {
  test(`axe finds nothing serious (${scheme})`, async () => {
    await page.emulateMedia({ colorScheme: scheme });
    await receive(...tabMessages, of("favicon"), of("notice"), of("sessionOffer"));
    assert.deepEqual(await serious(), []);
    await receive(of("download"), of("command"));
    assert.deepEqual(await serious(), []);
    await page.locator("#menu-button").click();
    assert.deepEqual(await serious(), []);
    await receive({ type: "order", tabs: [1, 2, 3, 4], active: 3, first: true });
    assert.deepEqual(await serious(), []);
    await receive({ type: "order", tabs: [1, 2, 3, 4], active: 4, first: true });
    assert.deepEqual(await serious(), []);
    await receive({ type: "order", tabs: [1, 2, 3, 4], active: 2, first: true });
    assert.deepEqual(await serious(), []);
    await receive(of("quitQuestion"));
    assert.deepEqual(await serious(), []);
  });
}
