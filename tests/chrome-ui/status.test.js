// The panel with the status of the browser.
import assert from "node:assert/strict";
import { test } from "node:test";
import { of, page, problems, receive, said, serious, tabMessages } from "./harness.js";

const serve = (lines) => page.evaluate((all) => {
  const post = window.ipc.postMessage;
  window.ipc.postMessage = (text) => {
    post(text);
    const { type, request } = JSON.parse(text);
    if (type === "health") queueMicrotask(() => window.regen.receive([{ type: "health", request, lines: all }]));
  };
}, lines);
const panel = () => page.locator("#status-panel");
const line = (name) => panel().getByRole("listitem").filter({ hasText: name });

test("each part has a shape, a word and a number, and what is not configured is no trouble", async () => {
  await serve(of("health").lines);
  await receive(...tabMessages, { type: "command", name: "status" });
  await line("Memory").waitFor();
  assert.match(await line("Regen").innerText(), /1 h 6 min/);
  assert.match(await line("Memory").innerText(), /812 MB/);
  for (const [name, shape] of [["Memory", "in order"], ["Session on disk", "trouble"], ["Tor", "busy"], ["Redis", "not in use"]]) {
    assert.equal(await line(name).getByRole("img", { name: shape }).count(), 1, name);
  }
  assert.match(await line("Redis").innerText(), /not configured/);
  assert.deepEqual(await serious(), []);
  assert.deepEqual(problems, []);
});

test("the panel asks anew while it is seen, and not afterwards", async () => {
  await page.clock.install();
  await page.emulateMedia({ colorScheme: "dark" });
  await serve(of("health").lines);
  await receive(...tabMessages, { type: "command", name: "status" });
  await line("Memory").waitFor();
  assert.equal((await said("health")).length, 1);
  await page.clock.runFor(5100);
  assert.equal((await said("health")).length, 2);
  assert.deepEqual(await serious(), []);
  await page.keyboard.press("Escape");
  await page.clock.runFor(30_000);
  assert.equal((await said("health")).length, 2);
});
