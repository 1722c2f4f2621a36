// The script that finds the position of the match that a search has selected.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { page } from "./harness.js";

const source = await readFile(new URL("../../tab-host/src/view/find_position.js", import.meta.url), "utf8");

/** Selects the n-th place of a text in a document of this body, and returns what the script finds. */
const found = async (body, needle, number) => {
  await page.setContent(`<body>${body}`);
  return page.evaluate(({ source, needle, number }) => {
    // The policy of the test's document allows no inline styles.
    document.querySelectorAll(".gone").forEach((element) => { element.style.visibility = "hidden"; });
    getSelection().removeAllRanges();
    for (let step = 0; step < number; step += 1) window.find(needle, false, false, false);
    return (0, eval)(`${source.trim()}(${JSON.stringify(needle)})`);
  }, { source, needle, number });
};

test("the selected match is counted among all that are rendered", async () => {
  const body = "<p>One word, <b>wo</b>rd and WORD</p><p hidden>word</p><div class=gone>word</div><p>the\n  word</p><script>'word'</script><p>sword</p>";
  for (const number of [1, 2, 3, 4, 5]) assert.equal(await found(body, "word", number), `${number} 5`);
  assert.equal(await found("<p>a b</p><p>a\n\n b</p>", "a b", 2), "2 2");
  assert.equal(await found("<p>aaaa</p>", "aa", 2), "2 2");
  assert.equal(await found("<p>wo</p><p>rd</p><p>word</p>", "word", 1), "1 1");
});

test("without a selection there is no position", async () => {
  assert.equal(await found("<p>word</p>", "word", 0), "");
});
