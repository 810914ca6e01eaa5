// Administration, by mouse and by keyboard: credentials, who may do what, buckets, limits, workers, audit.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { NATIVE_URL, TENANT, TOKEN, accessible, api, dismiss, enter, go, keyboard, keys, mouse, scenario, type, write } from "./lib.mjs";

const { READER, S3_URL, OLD_URL, OLD_KEY, OLD_SECRET } = process.env;
const answer = async (path, token) => (await fetch(NATIVE_URL + path, { headers: { Authorization: `Bearer ${token}` } })).status;
const settled = (page) => page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
const pick = async (hand, field, value) => {
  if (hand === mouse) {
    await field.selectOption(value);
    return;
  }
  // The keyboard walks through the options.
  await field.focus();
  for (let step = 0; step < 20 && (await field.inputValue()) !== value; step += 1) await field.page().keyboard.press("ArrowDown");
  for (let step = 0; step < 20 && (await field.inputValue()) !== value; step += 1) await field.page().keyboard.press("ArrowUp");
  assert.equal(await field.inputValue(), value);
};

for (const hand of [mouse, keyboard]) {
  scenario(`credentials: make, rotate, revoke by ${hand.name}`, async (page) => {
    const name = `ci-${hand.name}`;
    await enter(page);
    await hand.press(page.getByRole("link", { name: "Access" }));
    await hand.press(page.getByRole("button", { name: "New credential" }));
    await accessible(page, "new credential");
    await type(hand, page.getByLabel("Description"), name);
    await type(hand, page.getByLabel("Namespaces"), `team-${hand.name}-*`);
    await type(hand, page.getByLabel("Prefixes of keys"), "reports/");
    await hand.press(page.getByRole("checkbox", { name: "write objects" }));
    await hand.press(page.getByRole("button", { name: "Create" }));
    await page.getByText("never again").waitFor();
    await accessible(page, "secret");
    const token = await page.getByRole("dialog", { name: "The credential is there" }).locator("code").first().innerText();
    assert.match(token, /^js_/);
    const lines = await page.getByRole("dialog", { name: "The credential is there" }).innerText();
    assert.ok(lines.includes(`export TOKEN=${token}`));
    await dismiss(page);
    assert.ok(!(await page.content()).includes(token), "the secret is shown once");
    assert.equal(await answer(`/v1/objects?namespace=team-${hand.name}-x&tenant=${TENANT}&prefix=reports/`, token), 200);
    assert.equal(await answer(`/v1/objects?namespace=team-${hand.name}-x&tenant=${TENANT}`, token), 403);
    const who = await (await api("GET", "/v1/admin/whoami", { token })).json();
    assert.deepEqual([who.namespaces, who.prefixes, who.rights], [[`team-${hand.name}-*`], ["reports/"], ["read", "write"]]);

    await hand.press(page.getByRole("button", { name: `Rotate ${name}` }).first());
    await pick(hand, page.getByLabel("The old one stays valid for"), "0");
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Rotate" }));
    const fresh = await page.getByRole("dialog", { name: "The credential is there" }).locator("code").first().innerText();
    await dismiss(page);
    assert.notEqual(fresh, token);
    assert.equal(await answer("/v1/admin/whoami", fresh), 200);
    await settled(page);
    await accessible(page, "access");
    await hand.press(page.getByRole("button", { name: `Revoke ${name}` }).first());
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Revoke" }));
    await page.getByText("Revoked.").waitFor();
    await page.waitForFunction(async ([url, gone]) => (await fetch(url, { headers: { Authorization: `Bearer ${gone}` } })).status === 401, [`${NATIVE_URL}/v1/admin/whoami`, fresh]);
  });

  scenario(`an S3 key comes with lines for aws, boto3, curl and rclone by ${hand.name}`, async (page) => {
    await enter(page, TOKEN, "#/access");
    await hand.press(page.getByRole("button", { name: "New credential" }));
    await pick(hand, page.getByLabel("Kind"), "s3");
    await hand.press(page.getByRole("button", { name: "Create" }));
    const box = page.getByRole("dialog", { name: "The credential is there" });
    await box.getByText("never again").waitFor();
    for (const tool of ["aws", "boto3", "curl", "rclone"]) assert.equal(await box.locator("summary", { hasText: tool }).count(), 1, tool);
    const lines = await box.locator("pre").nth(1).innerText();
    assert.match(lines, /AWS_SECRET_ACCESS_KEY=/);
    // The server tells where its S3 front is: here another port than the page's.
    assert.ok(lines.includes(`AWS_ENDPOINT_URL_S3=${S3_URL}`), lines);
    await dismiss(page);
    const card = page.locator("#connect");
    await hand.press(card.locator("summary", { hasText: "rclone" }));
    assert.ok((await card.innerText()).includes(`endpoint = ${S3_URL}`), await card.innerText());
  });

  scenario(`may X do Y on Z by ${hand.name}`, async (page) => {
    await write("asked", "a.txt", "text");
    await enter(page, TOKEN, "#/access/can");
    await type(hand, page.getByLabel("Z: on what"), `asked/${TENANT}/a.txt`);
    await hand.press(page.getByRole("button", { name: "Ask" }));
    await page.getByText("Yes", { exact: true }).waitFor();
    await pick(hand, page.getByLabel("X: who"), "anonymous");
    await hand.press(page.getByRole("button", { name: "Ask" }));
    await page.getByText("No", { exact: true }).waitFor();
    await accessible(page, "may X do Y on Z");
  });

  scenario(`buckets: make and delete by ${hand.name}`, async (page) => {
    const bucket = `bucket-${hand.name}`;
    await enter(page, TOKEN, "#/browse");
    await hand.press(page.getByRole("button", { name: "New bucket" }));
    await type(hand, page.getByLabel("Name", { exact: true }), bucket);
    await hand.press(page.getByRole("button", { name: "Create" }));
    await page.getByRole("link", { name: bucket, exact: true }).waitFor();
    assert.equal(await answer(`/v1/admin/buckets/${bucket}`, TOKEN), 200);
    await hand.press(page.getByRole("button", { name: `Delete bucket of ${bucket}` }));
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Delete" }));
    await page.getByText("The bucket is gone.").waitFor();
    assert.equal(await answer(`/v1/admin/buckets/${bucket}`, TOKEN), 404);
  });

  scenario(`limits by ${hand.name}`, async (page) => {
    await enter(page, TOKEN, "#/limits");
    await hand.press(page.getByRole("button", { name: "Another tenant" }));
    await type(hand, page.getByRole("textbox", { name: "Tenant" }), `tenant-${hand.name}`);
    await hand.press(page.getByRole("button", { name: "Continue" }));
    await type(hand, page.getByLabel("Bytes stored"), "10 GiB");
    await type(hand, page.getByLabel("Requests a second"), "unlimited");
    await hand.press(page.getByRole("button", { name: "Save" }));
    await page.getByText("In force within a second").waitFor();
    const limits = await (await api("GET", `/v1/admin/limits/tenant-${hand.name}`)).json();
    assert.equal(limits.quota_bytes, 10 * 2 ** 30);
    assert.equal(limits.requests_per_second, "unlimited");
    assert.equal(limits.concurrent_requests, null);
    await page.getByText("of 10.0 GiB").first().waitFor();
    await accessible(page, "limits");
  });

  scenario(`workers run when told by ${hand.name}`, async (page) => {
    await enter(page);
    await hand.press(page.getByRole("link", { name: "Maintenance" }));
    await hand.press(page.getByRole("button", { name: "Run now: scrub" }));
    await page.getByText("scrub takes its next step now.").waitFor();
    await settled(page);
    for (const card of ["Stuck items", "Servers", "Workers", "What would be collected", "Scrub", "Kept segments", "Backup", "Event targets"]) await page.getByRole("heading", { name: card, exact: true }).waitFor();
    assert.equal(await page.locator("main .note.wrong").count(), 0);
    await accessible(page, "maintenance");
  });

  scenario(`a look at garbage, and a backup that holds it, by ${hand.name}`, async (page) => {
    await enter(page, TOKEN, "#/maintenance");
    await settled(page);
    await hand.press(page.getByRole("button", { name: "Begin a backup" }));
    await accessible(page, "begin a backup");
    await pick(hand, page.getByLabel("It ends by itself after"), "3600");
    const same = page.getByRole("dialog");
    await hand.press(same.locator("summary"));
    assert.ok((await same.innerText()).includes("juststorage backup begin --hold 3600s"));
    await hand.press(same.getByRole("button", { name: "Begin", exact: true }));
    await page.getByText("Removal is held").waitFor();
    const { holds } = await (await api("GET", "/v1/admin/backups")).json();
    assert.equal(holds.length, 1);
    assert.equal((Date.parse(holds[0].expires_at) - Date.parse(holds[0].begun_at)) / 1000, 3600);
    await hand.press(page.getByRole("button", { name: "Refresh" }));
    await page.getByText("Held by backups").waitFor();
    for (const row of ["Deleted objects", "Blobs that nothing else names"]) await page.getByText(row, { exact: true }).waitFor();
    assert.equal(await page.locator("main .note.wrong").count(), 0);
    await hand.press(page.getByRole("button", { name: "End the backup of" }));
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "End", exact: true }));
    await page.getByText("holds removal no longer").waitFor();
    await page.getByText("No backup holds removal.").waitFor();
    assert.deepEqual((await (await api("GET", "/v1/admin/backups")).json()).holds, []);
  });

  scenario(`a space leaves its upstream by ${hand.name}`, async (page) => {
    if (!OLD_URL) return;
    const space = `leaving-${hand.name}`;
    const where = `/v1/admin/upstreams/${space}/${TENANT}`;
    const status = async () => {
      const found = await fetch(NATIVE_URL + where, { headers: { Authorization: `Bearer ${TOKEN}` } });
      return found.ok ? found.json() : {};
    };
    const press = async (name) => {
      await settled(page);
      await hand.press(page.getByRole("button", { name, exact: true }));
    };
    // Each pass once more than before: a pass of three objects may be over before its page is drawn.
    const done = async (kind, work) => {
      const before = (await status())[kind]?.finished_at;
      await work();
      for (let now = await status(); !now[kind]?.finished_at || now[kind].finished_at === before; now = await status()) await new Promise((later) => setTimeout(later, 100));
    };
    const set_mode = async (mode) => {
      await press("Set the mode");
      await pick(hand, page.getByLabel("Mode", { exact: true }), mode);
      await hand.press(page.getByRole("dialog").getByRole("button", { name: "Set", exact: true }));
      await page.getByText(`The mode is ${mode}.`).waitFor();
    };
    await enter(page);
    await hand.press(page.getByRole("link", { name: "Upstreams" }));
    await press("Bind a space");
    const box = page.getByRole("dialog");
    for (const [label, text] of [["Namespace", space], ["Endpoint", OLD_URL], ["Bucket there", "old"], ["Access key", OLD_KEY], ["Secret key", OLD_SECRET]]) await type(hand, box.getByLabel(label, { exact: true }), text);
    await hand.press(box.getByRole("checkbox", { name: "private or loopback" }));
    await hand.press(box.locator("summary", { hasText: "More" }));
    await type(hand, box.getByLabel("Prefix there"), `${hand.name}/`);
    await accessible(page, "bind a space");
    await hand.press(box.locator("summary", { hasText: "Same by API" }));
    const lines = await box.innerText();
    assert.ok(lines.includes(`juststorage upstream set --namespace ${space}`) && !lines.includes(OLD_SECRET), lines);
    await done("survey", () => hand.press(box.getByRole("button", { name: "Bind", exact: true })));
    await hand.press(page.getByRole("link", { name: `${space}/${TENANT}` }));
    await page.getByText("3 objects").waitFor();

    await set_mode("read-through");
    assert.equal(await (await api("GET", `/v1/objects/by-key/${space}/${TENANT}/one`)).text(), "one");
    await press("Compare");
    await page.getByText("not clean", { exact: true }).waitFor();
    await page.getByRole("cell", { name: "<b>two</b>" }).waitFor();
    await page.getByRole("region", { name: "Clients" }).getByText("node").waitFor();
    await settled(page);
    await accessible(page, "a space that leaves");
    await press("Backfill");
    await page.getByText("2 fetched").waitFor();
    await press("Compare");
    await page.getByText("3 match, 0 differ").waitFor();
    const saved = page.waitForEvent("download");
    await press("Save the report");
    const signed = JSON.parse(readFileSync(await (await saved).path(), "utf8"));
    assert.deepEqual([signed.report.clean, signed.signature.algorithm], [true, "Ed25519"]);

    await set_mode("mirror");
    await write(space, "new", "text");
    await page.getByText("Beginning of the mirror").waitFor();
    for (let now = await status(); now.mirror.waiting > 0 || !now.mirror.pass?.finished_at; now = await status()) await new Promise((later) => setTimeout(later, 100));
    await hand.press(page.getByRole("button", { name: "Refresh" }));
    await settled(page);
    assert.match(await page.locator("dl", { hasText: "Keys that wait to be sent" }).innerText(), /to be sent\s+0\s/);
    await set_mode("read-through");
    await done("verify", () => press("Compare"));
    await press("Detach");
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Detach", exact: true }));
    await page.getByText("The space is detached.").waitFor();
    await press("Forget");
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Forget", exact: true }));
    await page.getByText("The upstream is forgotten.").waitFor();
    assert.equal(await answer(where, TOKEN), 404);
    assert.deepEqual((await keys(space)).sort(), ["<b>two</b>", "new", "one", "three"]);
  });

  scenario(`an event target by ${hand.name}`, async (page) => {
    const name = `hooks-${hand.name}`;
    const targets = async () => (await (await api("GET", "/v1/admin/targets")).json()).targets.filter((one) => one.name === name);
    await enter(page, TOKEN, "#/maintenance");
    await settled(page);
    await hand.press(page.getByRole("button", { name: "Declare a target" }));
    const box = page.getByRole("dialog");
    await type(hand, box.getByLabel("Name", { exact: true }), name);
    await type(hand, box.getByLabel("URL"), "https://hooks.invalid/");
    await type(hand, box.getByLabel("Secret"), "a secret of sixteen bytes");
    await accessible(page, "declare a target");
    await hand.press(box.getByRole("button", { name: "Declare", exact: true }));
    await page.getByText(`arn:juststorage:sqs::${name}:webhook`).waitFor();
    await settled(page);
    await hand.press(page.getByRole("button", { name: `Pause ${name}` }));
    await page.getByText(`Events for ${name} wait.`).waitFor();
    const [{ paused, signed, url }] = await targets();
    assert.deepEqual([paused, signed, url], [true, true, "https://hooks.invalid/"]);
    await settled(page);
    await hand.press(page.getByRole("button", { name: `Test ${name}` }));
    await page.getByText(`${name} did not take it`).waitFor();
    await hand.press(page.getByRole("button", { name: `Replay ${name}` }));
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Replay", exact: true }));
    await page.getByText("0 events wait again.").waitFor();
    await settled(page);
    await hand.press(page.getByRole("button", { name: `Remove ${name}` }));
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Remove", exact: true }));
    await page.getByText(`${name} is gone.`).waitFor();
    assert.deepEqual(await targets(), []);
  });

  scenario(`audit names who changed what and who was refused by ${hand.name}`, async (page) => {
    await fetch(`${NATIVE_URL}/v1/objects/by-key/forbidden/${TENANT}/a-${hand.name}.txt`, { method: "PUT", body: "x", headers: { Authorization: `Bearer ${READER}` } });
    await enter(page);
    await hand.press(page.getByRole("link", { name: "Audit" }));
    await pick(hand, page.getByLabel("Show"), "denied");
    await hand.press(page.getByRole("button", { name: "Filter" }));
    await page.getByText(`/v1/objects/by-key/forbidden/${TENANT}/a-${hand.name}.txt`).first().waitFor();
    await accessible(page, "audit");
  });
}

scenario("a caller that is bound to a prefix browses it, and is told of nothing else", async (page) => {
  await write("bound", "reports/2026/a.txt", "text");
  await write("bound", "other/secret-name.txt", "text");
  const made = await api("POST", "/v1/admin/credentials", { json: { kind: "api", tenant: TENANT, namespaces: ["bound"], prefixes: ["reports/"], rights: ["read", "write"] } });
  const { token } = await made.json();
  await enter(page, token);
  await settled(page);
  assert.equal(await page.locator("main .note.wrong").count(), 0);
  await page.getByRole("link", { name: "Browse" }).click();
  await accessible(page, "prefixes");
  await page.getByRole("link", { name: "reports/" }).first().click();
  await page.getByRole("link", { name: "2026/" }).click();
  await page.getByRole("link", { name: "a.txt" }).click();
  await page.getByText("Written", { exact: true }).first().waitFor();
  await settled(page);
  assert.equal(await page.locator("main .note.wrong").count(), 0);
  // The space itself begins at the prefix.
  await go(page, `#/browse/bound/${TENANT}`);
  await page.getByRole("link", { name: "2026/" }).waitFor();
  assert.ok(!(await page.content()).includes("secret-name"));
});

scenario("Home shows health, savings, requests and findings", async (page) => {
  await api("POST", "/v1/admin/credentials", { json: { kind: "api", tenant: TENANT, rights: ["read"], description: "ends soon", expires_in_seconds: 172_800 } });
  await enter(page);
  await page.getByText("Ready", { exact: true }).waitFor();
  await page.getByText(/^Version \d/).waitFor();
  await page.getByText("will expire").waitFor();
  await page.getByRole("heading", { name: "Free space" }).waitFor();
  await settled(page);
  for (const picture of ["Bytes: on disk", "Volume hot: used"]) await page.getByRole("img", { name: picture }).first().waitFor();
  // The server remembers what came before the page.
  for (const picture of ["Requests: now", "Latency, median: now", "Latency, 99 of 100: now", "Errors of the server: now"]) await page.getByRole("img", { name: picture }).waitFor();
  const { minutes } = await (await api("GET", "/v1/admin/traffic")).json();
  assert.ok(minutes.reduce((sum, minute) => sum + minute.requests, 0) > 10);
  await page.getByText(S3_URL, { exact: true }).waitFor();
  await accessible(page, "home of an operator");
});

for (const hand of [mouse, keyboard]) {
  scenario(`lifecycle, versioning and policy of a space by ${hand.name}`, async (page) => {
    const space = `rules-${hand.name}`;
    await api("POST", "/v1/admin/buckets", { json: { name: space } });
    await enter(page);
    const now = async () => (await (await api("GET", `/v1/admin/spaces/${space}/${TENANT}`)).json());
    await hand.press(page.getByRole("link", { name: "Lifecycle" }));
    await hand.press(page.getByRole("link", { name: `${space}/${TENANT}` }));
    await hand.press(page.getByRole("button", { name: "New rule" }));
    await accessible(page, "new rule");
    await type(hand, page.getByLabel("Name", { exact: true }), "old-logs");
    await type(hand, page.getByLabel("Only keys that begin with"), "logs/");
    await type(hand, page.getByLabel("Delete after days"), "30");
    await type(hand, page.getByLabel("Abort unfinished uploads"), "7");
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Add" }));
    await page.getByText("delete after 30 days; abort uploads after 7 days").waitFor();
    const { rules } = (await now()).settings.lifecycle;
    assert.equal(rules[0].id, "old-logs");
    assert.equal(rules[0].filter.prefix, "logs/");
    assert.equal(rules[0].expiration.days, 30);
    await hand.press(page.getByRole("button", { name: "Turn off old-logs" }));
    await page.getByRole("button", { name: "Turn on old-logs" }).waitFor();
    assert.equal((await now()).settings.lifecycle.rules[0].enabled, false);
    await hand.press(page.getByRole("button", { name: "Remove old-logs" }));
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Remove" }));
    await page.getByText("No rule: objects stay").waitFor();
    assert.equal((await now()).settings.lifecycle, null);
    await hand.press(page.getByRole("button", { name: "Enable versioning" }));
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Enable" }));
    await page.getByRole("button", { name: "Suspend versioning" }).waitFor();
    assert.equal((await now()).versioning, "enabled");
    await accessible(page, "lifecycle");
    await go(page, `#/access/policies/${space}/${TENANT}`);
    await hand.press(page.getByRole("button", { name: "Everybody may read", exact: true }));
    await hand.press(page.getByRole("button", { name: "Save" }));
    await page.getByText("The policy holds now.").waitFor();
    assert.equal((await now()).settings.policy.Statement[0].Effect, "Allow");
    await settled(page);
    await accessible(page, "policy");
    await hand.press(page.getByRole("button", { name: "Remove", exact: true }));
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Remove" }));
    await page.getByText("The policy holds now.").waitFor({ state: "detached" });
    await settled(page);
    assert.equal((await now()).settings.policy, null);
  });
}
