// What the scenarios of the console share: a browser, a way in, the two hands (keyboard and mouse), and what is forbidden.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const { NATIVE_URL, TOKEN, WORK, FILES } = process.env;
const axe_source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export { NATIVE_URL, TOKEN, WORK };
export const TENANT = "default";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"];

/** A browser of its own. */
export const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: FLAGS });

/** Whatever a page said, did or asked for that it must not. */
const offences = [];

/** A page of a browser that knows nothing yet. Its refusals by policy, errors and requests to other hosts are offences. */
export async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, acceptDownloads: true, ...options });
  const page = await context.newPage();
  // Long enough for a machine that does twenty other things: what is broken stays broken.
  page.setDefaultTimeout(120_000);
  page.on("pageerror", (error) => offences.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    if (dialog.type() !== "beforeunload") offences.push(`a script of an uploader ran: ${dialog.message()}`);
    dialog.accept();
  });
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !/status of (401|403|404|412|421)/.test(text) && !page.lenient) offences.push(`console: ${text}`);
  });
  // From the first listener on the browser asks us instead of a person, which takes a moment to begin.
  page.on("filechooser", () => {});
  page.on("request", (request) => {
    if (!request.url().startsWith(NATIVE_URL) && !/^(blob|data):/.test(request.url())) offences.push(`request to ${request.url()}`);
  });
  if (FILES) await from_folder(page);
  return page;
}

// While the console is being written: its files from a folder instead of the binary's.
async function from_folder(page) {
  const types = { html: "text/html", css: "text/css", js: "text/javascript", svg: "image/svg+xml" };
  await page.route("**/console/**", (route) => {
    const name = new URL(route.request().url()).pathname.replace("/console/", "") || "index.html";
    route.fulfill({ body: readFileSync(`${FILES}/${name}`), headers: {
      "content-type": types[name.split(".").at(-1)],
      "content-security-policy": "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    } });
  });
}

/** Opens the console and signs in. */
export async function enter(page, token = TOKEN, place = "#/home") {
  await page.goto(`${NATIVE_URL}/console/${place}`);
  await page.getByLabel("API token or JSON web token").fill(token);
  await page.getByLabel("API token or JSON web token").press("Enter");
  await page.getByRole("heading", { name: "Sign in" }).waitFor({ state: "detached" });
  await page.getByRole("heading", { level: 1 }).first().waitFor();
}

/** Goes to a place of the console, by its address. */
export async function go(page, place) {
  await page.evaluate((hash) => new Promise((gone) => {
    if (location.hash === hash) gone();
    addEventListener("hashchange", () => gone(), { once: true });
    location.hash = hash;
  }), place);
}

/** One call of the API, beside the console. */
export async function api(method, path, { headers = {}, body, json, token = TOKEN, status } = {}) {
  const all = { Authorization: `Bearer ${token}`, ...headers };
  if (json !== undefined) all["Content-Type"] = "application/json";
  const answer = await fetch(NATIVE_URL + path, { method, headers: all, body: json === undefined ? body : JSON.stringify(json) });
  if (status) assert.equal(answer.status, status, `${method} ${path}: ${await answer.clone().text()}`);
  else assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${answer.ok ? "" : await answer.text()}`);
  return answer;
}

/** Writes an object. */
export async function write(namespace, key, body, headers = {}) {
  const answer = await api("PUT", `/v1/objects/by-key/${namespace}/${TENANT}/${encodeURIComponent(key)}`, { body, headers: { "Content-Type": "text/plain", ...headers } });
  return answer.json();
}

/** Keys of a space. */
export async function keys(namespace, more = "") {
  const page = await (await api("GET", `/v1/objects?namespace=${namespace}&tenant=${TENANT}${more}`)).json();
  return page.objects.map((object) => object.key);
}

/** The mouse: it clicks. */
export const mouse = {
  name: "mouse",
  press: (target) => target.click(),
};

/** The keyboard: it goes to a control with Tab and presses Enter; nothing is clicked, and a control that Tab does not reach fails. */
export const keyboard = {
  name: "keyboard",
  async press(target) {
    await target.waitFor();
    await tab_to(target);
    const box = await target.evaluate((element) => element.type === "checkbox");
    await target.page().keyboard.press(box ? "Space" : "Enter");
  },
};

/** Presses Tab until the control has the focus. */
export async function tab_to(target) {
  const page = target.page();
  const here = () => target.evaluate((element) => element === document.activeElement);
  for (let step = 0; step < 250; step += 1) {
    if (await here()) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`Tab does not reach ${target}`);
}

/** Types into a field by the hand's own way. */
export async function type(hand, field, text) {
  await field.waitFor();
  if (hand === keyboard) {
    await tab_to(field);
    await field.page().keyboard.press("Control+A");
    await field.page().keyboard.type(text);
  } else {
    await field.fill(text);
  }
}

/** Nothing that axe calls serious or critical. */
export async function accessible(page, where) {
  // Notes over the page come and go.
  await page.evaluate(axe_source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const grave = violations.filter((found) => found.impact === "serious" || found.impact === "critical");
  const said = grave.map((found) => `${found.id}: ${found.help}: ${found.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} (${node.failureSummary.split("\n")[1]})`).join(" | ")}`);
  assert.deepEqual(said, [], `axe at ${where}`);
}

/** Dismisses the dialog with Escape and waits until the page is rid of it: a browser tells the page of that a moment after the key. */
export async function dismiss(page) {
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => !document.querySelector("dialog"));
}

const scenarios = [];

/** A scenario. */
export function scenario(name, run) {
  scenarios.push([name, run]);
}

/** Runs all, each with what it may not do checked, and ends the process. */
export async function run_all() {
  let failed = 0;
  for (const [name, run] of scenarios) {
    if (process.env.ONLY && !name.includes(process.env.ONLY)) continue;
    const begun = Date.now();
    let page;
    try {
      page = await open();
      await run(page);
      assert.deepEqual(offences.splice(0), [], "what a page must not do");
      console.log(`ok ${name} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed += 1;
      offences.splice(0);
      console.log(`FAILED ${name}: ${error.stack}`);
      if (WORK) await page?.screenshot({ path: `${WORK}/failed-${failed}.png` }).catch(() => {});
      console.log(await page?.locator("body").innerText({ timeout: 2000 }).catch(() => ""));
    } finally {
      await page?.context().close().catch(() => {});
    }
  }
  await browser.close();
  process.exit(failed ? 1 : 0);
}
