// The five tasks of docs/console.md, each under a minute and each with its picture: find an object, share it, make a key for
// one prefix, see what deduplication saved, see why something is stuck.
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { NATIVE_URL, TENANT, TOKEN, WORK, dismiss, enter, open, run_all, scenario, write } from "./lib.mjs";

const SHOTS = process.env.SHOTS || WORK;
const SECONDS_MAX = 60;
const BYTES_MAX = 100_000;

async function task(name, page, work) {
  const begun = Date.now();
  await work();
  const took = (Date.now() - begun) / 1000;
  console.log(`   ${name}: ${took.toFixed(1)} s`);
  assert.ok(took < SECONDS_MAX, `${name} took ${took} s`);
  await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
  // Lines that come and go hide what is below them.
  await page.evaluate(() => document.getElementById("said").replaceChildren());
  const path = `${SHOTS}/${name}.png`;
  await page.screenshot({ path });
  assert.ok(statSync(path).size < BYTES_MAX, `${path} has ${statSync(path).size} bytes`);
}

scenario("five tasks, each under a minute", async () => {
  for (let i = 0; i < 30; i += 1) await write("models", `runs/2026-11-${String(i + 1).padStart(2, "0")}/loss.json`, `{"run": ${i}, "loss": ${(1 / (i + 1)).toFixed(4)}}`, { "Content-Type": "application/json" });
  const same = "The same weights, stored once. ".repeat(40_000);
  for (const name of ["a", "b", "c"]) await write("models", `weights/${name}.bin`, same, { "Content-Type": "application/octet-stream" });
  const page = await open({ viewport: { width: 900, height: 600 } });
  await enter(page);

  await task("find", page, async () => {
    await page.getByRole("link", { name: "Browse" }).click();
    await page.getByRole("link", { name: "models", exact: true }).click();
    await page.getByLabel("Find keys that begin with").fill("11-17");
    await page.getByLabel("inside the key").check();
    await page.getByRole("button", { name: "Find" }).click();
    await page.getByRole("link", { name: "runs/2026-11-17/loss.json" }).click();
    await page.getByText('"run": 16').waitFor();
  });

  let link;
  await task("share", page, async () => {
    await page.getByRole("button", { name: "Share" }).click();
    await page.getByLabel("Ends after").selectOption("86400");
    await page.getByRole("button", { name: "Create link" }).click();
    link = await page.getByRole("dialog", { name: "Link" }).locator("code").innerText();
  });
  assert.equal((await (await fetch(link)).json()).run, 16);
  await dismiss(page);

  await task("key", page, async () => {
    await page.getByRole("link", { name: "Access" }).click();
    await page.getByRole("button", { name: "New credential" }).click();
    await page.getByLabel("Description").fill("team search, reading");
    await page.getByLabel("Namespaces").fill("models");
    await page.getByLabel("Prefixes of keys").fill("runs/");
    await page.getByRole("button", { name: "Create" }).click();
    await page.getByText("never again").waitFor();
  });
  const token = await page.getByRole("dialog").locator("code").first().innerText();
  const list = async (prefix) => (await fetch(`${NATIVE_URL}/v1/objects?namespace=models&tenant=${TENANT}&prefix=${prefix}`, { headers: { Authorization: `Bearer ${token}` } })).status;
  assert.deepEqual([await list("runs/"), await list("weights/"), await list("")], [200, 403, 403]);
  await dismiss(page);

  await task("savings", page, async () => {
    await page.getByRole("link", { name: "Home" }).click();
    await page.locator("#savings").getByText("saved").first().waitFor();
    assert.match(await page.locator("#savings .big").innerText(), /^2\.3\d MiB/);
  });

  await task("stuck", page, async () => {
    await page.getByRole("link", { name: "See why" }).click();
    await page.getByText("segment:").first().waitFor();
    assert.match(await page.locator("#stuck td[data-label=Why]").first().innerText(), /directory|not/i);
  });
  await page.getByRole("button", { name: "Try now: segment:" }).click();
  await page.getByText("1 item will be tried now.").waitFor();
});

await run_all();
