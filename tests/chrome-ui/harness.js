// The chrome (ui-shell/web) in Debian's Chromium, for tests. It runs on the files that build.rs embeds, built into a temporary
// folder, and on messages that the Rust side of the bridge made (contract.json).
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { after, before, beforeEach } from "node:test";
import { chromium } from "playwright-core";

const built = mkdtempSync(join(tmpdir(), "regen-chrome-"));
const source = fileURLToPath(new URL("../../ui-shell/web/", import.meta.url));
execFileSync(process.execPath, ["build.mjs", built], { cwd: source, stdio: "inherit" });
const web = pathToFileURL(`${built}/`);
export const contract = JSON.parse(await readFile(new URL("contract.json", import.meta.url), "utf8"));
const axe = await readFile(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const kinds = { html: "text/html", css: "text/css", js: "text/javascript" };
const POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const server = createServer(async (request, response) => {
  const path = new URL(request.url, "http://x").pathname.slice(1);
  try {
    const body = await readFile(new URL(path, web));
    response.setHeader("Content-Type", kinds[path.split(".").pop()]);
    response.setHeader("Content-Security-Policy", POLICY);
    response.end(body);
  } catch {
    // Chromium requests a favicon by itself.
    response.statusCode = path === "favicon.ico" ? 204 : 404;
    response.end();
  }
});

let browser;
/** The chrome's page; a new one for each test. */
export let page;
/** Errors on its console. */
export let problems;

before(async () => {
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"],
  });
});
after(async () => { await browser?.close(); server.close(); rmSync(built, { recursive: true }); });

beforeEach(async () => {
  await page?.context().close();
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, bypassCSP: false });
  page = await context.newPage();
  problems = [];
  page.on("console", (message) => { if (message.type() === "error") problems.push(message.text()); });
  page.on("pageerror", (error) => problems.push(String(error)));
  // Stands in for the shell: records the messages that the chrome sends.
  await page.addInitScript(() => {
    window.said = [];
    window.ipc = { postMessage: (text) => window.said.push(JSON.parse(text)) };
  });
  await page.goto(`http://127.0.0.1:${server.address().port}/index.html`);
  await page.waitForFunction(() => window.said.some((message) => message.type === "ready"));
  // The shell sends it before anything else.
  await receive(of("followed"));
});

export const receive = (...messages) => page.evaluate((list) => window.regen.receive(list), messages);
export const said = (type) => page.evaluate((kind) => window.said.filter((message) => message.type === kind), type);
export const tabMessages = contract.filter(({ type }) => type === "tab" || type === "order");
export const of = (type) => contract.find((message) => message.type === type);

/** Runs axe by evaluation, as the chrome's policy allows no foreign script element. Returns the serious violations. */
export const serious = async () => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`);
};
