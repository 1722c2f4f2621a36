// The panel of downloads.
import assert from "node:assert/strict";
import { test } from "node:test";
import { of, page, problems, receive, said, serious, tabMessages } from "./harness.js";

const NOW = 1_700_000_000;
const download = (changes) => ({ type: "download", download: { ...of("download").download, ...changes } });
const rows = () => page.locator("#downloads li");
const row = (name) => rows().filter({ has: page.getByText(name, { exact: true }) });
const named = (action, name) => page.getByRole("button", { name: `${action} ${name}`, exact: true });

test("each download offers what can be done about it", async () => {
  await receive(...tabMessages,
    download({ id: 1, name: "done.iso", state: "done", received: 1000, endedAt: NOW }),
    download({ id: 2, name: "failed.iso", state: "failed", error: "the disk is full", endedAt: NOW }),
    download({ id: 3, name: "answer.html", state: "running", canResume: false, total: 0 }),
    download({ id: 4, name: "paused.iso", state: "paused" }),
    download({ id: 5, name: "queued.iso", state: "queued", received: 0 }));
  const offered = async (name) => Promise.all((await row(name).getByRole("button").all()).map((button) => button.getAttribute("title")));
  assert.deepEqual(await offered("done.iso"), ["Show in folder", "Remove from list"]);
  assert.deepEqual(await offered("failed.iso"), ["Retry", "Remove from list"]);
  assert.deepEqual(await offered("answer.html"), ["Cancel"]);
  assert.deepEqual(await offered("paused.iso"), ["Resume", "Cancel"]);
  assert.deepEqual(await offered("queued.iso"), ["Pause", "Cancel"]);
  assert.deepEqual(await rows().locator(".name").allInnerTexts(), ["queued.iso", "paused.iso", "answer.html", "failed.iso", "done.iso"]);
  assert.match(await row("failed.iso").innerText(), /Failed: the disk is full/);
  assert.match(await row("done.iso").innerText(), /1\.0 KB · example\.org · .*2023/);
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    assert.deepEqual(await serious(), []);
  }
  await named("Pause", "queued.iso").click();
  await named("Resume", "paused.iso").click();
  await named("Retry", "failed.iso").click();
  await named("Show in folder", "done.iso").click();
  await page.getByRole("button", { name: "Clear list" }).click();
  assert.deepEqual((await said("download")).map((order) => [order.action, order.download]),
    [["pause", 5], ["resume", 4], ["resume", 2], ["showFolder", 1], ["forgetEnded", 0]]);
  assert.deepEqual(problems, []);
});

test("speed and remaining time are measured while bytes arrive", async () => {
  await page.clock.install();
  const arrives = (received) => receive(download({ received, total: 10_000_000 }));
  await receive(...tabMessages);
  await arrives(0);
  for (let second = 1; second <= 4; second += 1) {
    await page.clock.runFor(1000);
    await arrives(second * 500_000);
  }
  assert.match(await row("file.iso").innerText(), /2\.0 MB of 10 MB · \d{3} KB\/s · 1[67] s left/);
  await receive(download({ received: 2_000_000, total: 10_000_000, state: "paused" }));
  assert.match(await row("file.iso").innerText(), /Paused · 2\.0 MB of 10 MB/);
});

test("the panel opens for a new download, not for those of an earlier run, and stays for keys", async () => {
  const ended = [1, 2, 3].map((id) => download({ id, name: `${id}.iso`, state: "done", endedAt: NOW }));
  await receive(...tabMessages, ...ended, download({ id: 4, name: "4.iso", state: "interrupted", error: "the browser ended" }));
  assert.equal(await page.locator("#downloads-panel").isVisible(), false);
  await receive(download({ id: 5, name: "5.iso", state: "queued", received: 0 }));
  assert.equal(await page.locator("#downloads-panel").isVisible(), true);
  await named("Remove from list", "2.iso").focus();
  await page.keyboard.press("Enter");
  await receive({ type: "downloadGone", download: 2 });
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Show in folder 1.iso");
  assert.equal(await rows().count(), 4);
});

test("two hundred downloads scroll within the window", async () => {
  await receive(...tabMessages, ...Array.from({ length: 200 }, (_, at) => download({ id: at + 1, name: `${at}.iso`, state: "done", endedAt: NOW })));
  await receive({ type: "command", name: "downloads" });
  const box = await page.locator("#downloads-panel").boundingBox();
  assert.ok(box.y + box.height <= 860, JSON.stringify(box));
});
