// Opens a broken file of a project in VS Code, in a browser, and looks at the window: the mistake is
// underlined, the status bar says that the server runs, SQL is coloured; mending it takes the line away.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import puppeteer from "puppeteer-core";

const [mxcp, repository, chromium, screenshot] = process.argv.slice(2);
const here = import.meta.dirname;
const server = path.join(here, "node_modules/code-server/lib/vscode/out/server-main.js");
const TOOL = "tools/get_customer_metrics.yml";
const PATIENCE = 120_000;

const folder = await realpath(await mkdtemp(path.join(tmpdir(), "mxcp-vscode-")));
const project = path.join(folder, "customer_360");
const kept = (file) => !/(\/target|\/\.mxcp|\.duckdb|\.wal)$/.test(file);
await cp(path.join(repository, "fixtures/customer_360"), project, { recursive: true, filter: kept });
const text = await readFile(path.join(project, TOOL), "utf8");
const broken = text.replace("customer_id, name, email,", "customer_id, name, emial,");
assert.notEqual(text, broken, "the fixture has changed");
await writeFile(path.join(project, TOOL), broken);

const data = path.join(folder, "data");
await mkdir(path.join(data, "Machine"), { recursive: true });
const settings = { "mxcp.path": mxcp, "workbench.startupEditor": "none", "editor.minimap.enabled": false };
await writeFile(path.join(data, "Machine/settings.json"), JSON.stringify(settings));
const own = ["--extensions-dir", path.join(folder, "extensions"), "--user-data-dir", data, "--server-data-dir", path.join(folder, "server")];
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("MXCP_")));
env.HOME = folder;
const vsix = path.join(repository, "editors/vscode/mxcp.vsix");
const installed = await promisify(execFile)(process.execPath, [server, "--install-extension", path.resolve(vsix), ...own], { env });
assert.match(installed.stdout, /successfully installed/);

const port = 20_000 + (process.pid % 20_000);
const address = `http://127.0.0.1:${port}/`;
const running = spawn(
  process.execPath,
  [server, "--accept-server-license-terms", "--without-connection-token", "--host", "127.0.0.1", "--port", String(port), "--telemetry-level", "off", ...own],
  { env, stdio: "ignore", detached: true },
);

/** Asks until the answer is one. */
async function until(what, question) {
  const end = Date.now() + PATIENCE;
  while (Date.now() < end) {
    const answer = await question();
    if (answer) {
      return answer;
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error(`${what}: not within ${PATIENCE / 1000} s`);
}

let browser;
let page;
try {
  await until("the server", () => fetch(address).then(({ ok }) => ok, () => false));
  browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"], headless: true });
  page = await browser.newPage();
  await page.setViewport({ width: 1300, height: 800 });
  const file = `vscode-remote://127.0.0.1:${port}${path.join(project, TOOL)}`;
  const payload = encodeURIComponent(JSON.stringify([["openFile", file]]));
  await page.goto(`${address}?folder=${project}&payload=${payload}`);

  const underlined = () => page.evaluate(() => document.querySelectorAll(".squiggly-error").length);
  await until("the mistake", underlined);
  const status = () => page.evaluate(() => document.querySelector('[id="mxcp.mxcp.mxcp.status"], [id*="mxcp.status"]')?.getAttribute("aria-label") ?? "");
  const said = await until("the status", async () => (await status()).match(/MXCP.*/)?.[0]);

  // Words of one line that are coloured differently have different classes.
  const colour = (word) =>
    page.evaluate((word) => {
      const spans = [...document.querySelectorAll(".view-line span span")];
      return spans.find((span) => span.textContent.replaceAll("\u00a0", " ").trim() === word)?.className;
    }, word);
  const keyword = await until("SELECT, as a word of its own", () => colour("SELECT"));
  assert.equal(await colour("CASE"), keyword);
  assert.notEqual(await colour("'gold'"), keyword);
  const lens = await until("the code lenses", () =>
    page.evaluate(() => [...document.querySelectorAll(".codelens-decoration a")].map((a) => a.textContent).join(", ")),
  );
  await page.screenshot({ path: screenshot });

  // A double click takes the word, and typing replaces it.
  const place = await page.evaluate(() => {
    const { left, top, width, height } = document.querySelector(".squiggly-error").getBoundingClientRect();
    return { x: left + width / 2, y: top + height / 2 };
  });
  await page.mouse.click(place.x, place.y, { count: 2 });
  await page.keyboard.type("email");
  await until("the mended line", async () => (await underlined()) === 0);
  console.log(`vscode: underlined, "${said}", SQL in colour, lenses "${lens}", mended while typing`);
} catch (error) {
  const window = await page?.evaluate(() => document.body.innerText).catch(() => "");
  await page?.screenshot({ path: screenshot }).catch(() => {});
  console.error(`vscode: ${error.message}\n${window ?? ""}`);
  process.exitCode = 1;
} finally {
  await browser?.close();
  process.kill(-running.pid);
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}
