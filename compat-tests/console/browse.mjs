// Browsing, uploading and changing objects, by mouse and by keyboard.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { NATIVE_URL, TENANT, TOKEN, WORK, accessible, api, dismiss, enter, go, keyboard, keys, mouse, open, scenario, tab_to, type, write } from "./lib.mjs";

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const stored = async (namespace, key) => Buffer.from(await (await api("GET", `/v1/objects/by-key/${namespace}/${TENANT}/${encodeURIComponent(key)}`)).arrayBuffer());

scenario("a wrong token is refused, a right one enters, and signing out forgets it", async (page) => {
  await page.goto(`${NATIVE_URL}/console/`);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await accessible(page, "sign in");
  await page.getByLabel("API token").fill("js_wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  await page.getByLabel("API token").fill(TOKEN);
  await page.getByLabel("Keep it until").check();
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Home" }).waitFor();
  await page.getByText("What deduplication saves").waitFor();
  await accessible(page, "home");
  await page.reload();
  await page.getByRole("heading", { name: "Home" }).waitFor();
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});

scenario("a token that is not kept is gone with the page", async (page) => {
  await enter(page);
  await page.reload();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
});

for (const hand of [mouse, keyboard]) {
  const space = `files-${hand.name}`;
  scenario(`find, read, share, copy, move, describe, delete by ${hand.name}`, async (page) => {
    for (const key of ["readme.txt", "logs/2026/a.json", "logs/2026/b.txt", "logs/2027/c.txt"]) await write(space, key, key.endsWith("json") ? '{"a":[1,2]}' : `text of ${key}`, { "X-Meta-Owner": "me" });
    await enter(page);
    await hand.press(page.getByRole("link", { name: "Browse" }));
    await hand.press(page.getByRole("link", { name: space, exact: true }));
    await hand.press(page.getByRole("link", { name: "logs/" }));
    await hand.press(page.getByRole("link", { name: "2026/" }));
    await page.getByRole("link", { name: "b.txt" }).waitFor();
    await accessible(page, "browse");
    await hand.press(page.getByRole("link", { name: "a.json" }));
    await page.getByText('"a": [').waitFor();
    await page.getByText("owner = me").waitFor();
    await accessible(page, "object");

    await hand.press(page.getByRole("button", { name: "Share" }));
    await accessible(page, "share");
    await hand.press(page.getByRole("button", { name: "Create link" }));
    const link = await page.getByRole("dialog", { name: "Link" }).locator("code").innerText();
    const shared = await fetch(link);
    assert.equal(await shared.text(), '{"a":[1,2]}');
    await dismiss(page);

    const [saved] = await Promise.all([page.waitForEvent("download"), hand.press(page.getByRole("button", { name: "Download" }))]);
    assert.equal(saved.suggestedFilename(), "a.json");
    assert.equal(readFileSync(await saved.path(), "utf8"), '{"a":[1,2]}');

    await hand.press(page.getByRole("button", { name: "Edit metadata" }));
    await type(hand, page.getByLabel("Metadata", { exact: true }), "team=search");
    await hand.press(page.getByRole("button", { name: "Save" }));
    await page.getByText("team = search").waitFor();
    const head = await api("HEAD", `/v1/objects/by-key/${space}/${TENANT}/logs/2026/a.json`);
    assert.equal(head.headers.get("x-meta-team"), "search");
    assert.equal(head.headers.get("x-meta-owner"), null);

    const tags = async () => (await (await api("GET", `/v1/objects/${head.headers.get("x-object-id")}/tags`)).json()).tags;
    await hand.press(page.getByRole("button", { name: "Edit tags" }));
    await type(hand, page.getByLabel("Name of tag 1"), "team");
    await type(hand, page.getByLabel("Value of tag 1"), "a=b");
    await hand.press(page.getByRole("button", { name: "Add a tag" }));
    await type(hand, page.getByLabel("Name of tag 2"), "x=y");
    await accessible(page, "tags");
    await hand.press(page.getByRole("dialog").locator("summary"));
    const line = await page.getByRole("dialog").locator("pre").first().innerText();
    assert.ok(line.includes(`'{"tags":{"team":"a=b","x=y":""}}'`), line);
    await hand.press(page.getByRole("button", { name: "Save" }));
    await page.getByText("team = a=b").waitFor();
    assert.deepEqual(await tags(), { team: "a=b", "x=y": "" });
    // Two of one name are refused before anything is sent; removing both leaves none.
    await hand.press(page.getByRole("button", { name: "Edit tags" }));
    await type(hand, page.getByLabel("Name of tag 2"), "team");
    await hand.press(page.getByRole("button", { name: "Save" }));
    await page.getByRole("dialog").getByText("two tags with the name team").waitFor();
    await hand.press(page.getByRole("button", { name: "Remove tag 1" }));
    await hand.press(page.getByRole("button", { name: "Remove tag 1" }));
    await hand.press(page.getByRole("button", { name: "Save" }));
    await page.getByText("The tags are set.").first().waitFor();
    await page.getByText("team = a=b").waitFor({ state: "detached" });
    assert.deepEqual(await tags(), {});

    await hand.press(page.getByRole("button", { name: "Move to cold" }));
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Move to cold" }));
    await page.getByRole("button", { name: "Move to hot" }).waitFor();

    await hand.press(page.getByRole("button", { name: "Copy", exact: true }).first());
    await type(hand, page.getByLabel("Key"), "copies/a.json");
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Copy", exact: true }).first());
    await page.getByRole("link", { name: "copies/" }).waitFor();
    await hand.press(page.getByRole("button", { name: "Move", exact: true }));
    await type(hand, page.getByLabel("Key"), "moved.json");
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Move", exact: true }));
    await page.getByRole("heading", { name: "moved.json" }).waitFor();
    assert.deepEqual(await keys(space), ["logs/2026/a.json", "logs/2026/b.txt", "logs/2027/c.txt", "moved.json", "readme.txt"]);
    // A copy replaces nothing unless it is told to.
    await hand.press(page.getByRole("button", { name: "Copy", exact: true }).first());
    await type(hand, page.getByLabel("Key"), "readme.txt");
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Copy", exact: true }).first());
    await page.getByRole("dialog").getByRole("alert").waitFor();
    await dismiss(page);

    await hand.press(page.getByRole("button", { name: "Delete", exact: true }));
    await page.getByText("1 object with").waitFor();
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }));
    await page.getByRole("link", { name: "readme.txt" }).waitFor();
    assert.ok(!(await keys(space)).includes("moved.json"));

    await hand.press(page.getByRole("checkbox", { name: "Choose logs/" }));
    await hand.press(page.getByRole("button", { name: "Delete all below the prefix" }));
    await page.getByText("3 objects with").waitFor();
    await hand.press(page.getByLabel("I have read how many"));
    await hand.press(page.getByRole("button", { name: "Delete them all" }));
    await page.getByText("3 objects deleted.").waitFor();
    assert.deepEqual(await keys(space), ["readme.txt"]);
    await hand.press(page.getByRole("checkbox", { name: "Choose readme.txt" }));
    await hand.press(page.getByRole("button", { name: "Delete 1 object" }));
    await page.getByRole("dialog").getByText("readme.txt").first().waitFor();
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Delete 1 object" }));
    await page.getByText("No object here yet.").waitFor();
    assert.deepEqual(await keys(space), []);
  });
}

scenario("filter, search inside keys, pages forth and back", async (page) => {
  const space = "many";
  await Promise.all(Array.from({ length: 12 }, async (_, lane) => {
    for (let i = lane; i < 260; i += 12) await write(space, `key-${String(i).padStart(4, "0")}`, "x");
  }));
  await write(space, "deep/down/needle.bin", "x");
  await enter(page, TOKEN, `#/browse/${space}/${TENANT}`);
  const first = page.getByRole("link", { name: "key-0000" });
  await first.waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("link", { name: "key-0150" }).waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("link", { name: "key-0259" }).waitFor();
  assert.ok(await page.getByRole("button", { name: "Next" }).isDisabled());
  await page.getByRole("button", { name: "Previous" }).click();
  await page.getByRole("button", { name: "Previous" }).click();
  await first.waitFor();
  await page.getByLabel("Find keys that begin with").fill("key-01");
  await page.getByRole("button", { name: "Find" }).click();
  await page.getByRole("link", { name: "key-0100" }).waitFor();
  assert.equal(await first.count(), 0);
  await page.getByLabel("Find keys that begin with").fill("needle");
  await page.getByLabel("inside the key").check();
  await page.getByRole("button", { name: "Find" }).click();
  await page.getByRole("link", { name: "deep/down/needle.bin" }).waitFor();
  await page.getByText("1 match among 261 keys.").waitFor();
});

scenario("upload by buttons: files, folders, odd names, nothing replaced unasked", async (page) => {
  const space = "uploads";
  await write(space, "taken.txt", "before");
  const folder = `${WORK}/up/folder/inner`;
  mkdirSync(folder, { recursive: true });
  const files = { [`${WORK}/up/a+b&c=d%20e #?.txt`]: "odd", [`${WORK}/up/ünï 日本.txt`]: "wide", [`${WORK}/up/taken.txt`]: "after" };
  for (const [name, text] of Object.entries({ ...files, [`${folder}/deep.txt`]: "deep", [`${WORK}/up/folder/top.txt`]: "top" })) writeFileSync(name, text);
  await enter(page, TOKEN, `#/browse/${space}/${TENANT}`);
  await tab_to(page.getByRole("button", { name: "Choose files" }));
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.keyboard.press("Enter")]);
  await chooser.setFiles(Object.keys(files));
  await page.getByText("there is an object of this name").waitFor();
  await page.getByRole("link", { name: "ünï 日本.txt" }).waitFor();
  assert.equal((await stored(space, "a+b&c=d%20e #?.txt")).toString(), "odd");
  assert.equal((await stored(space, "taken.txt")).toString(), "before");
  await accessible(page, "uploads");
  await page.getByRole("button", { name: "Replace taken.txt" }).click();
  await page.getByText("Uploads: all done").waitFor();
  assert.equal((await stored(space, "taken.txt")).toString(), "after");
  const [other] = await Promise.all([page.waitForEvent("filechooser"), page.getByRole("button", { name: "Choose a folder" }).click()]);
  await other.setFiles(`${WORK}/up/folder`);
  await page.getByRole("link", { name: "folder/" }).waitFor();
  assert.deepEqual(await keys(space, "&prefix=folder/"), ["folder/inner/deep.txt", "folder/top.txt"]);
});

scenario("upload by drop: a file and a folder with folders, as the system hands them over", async (page) => {
  const space = "dropped";
  const folder = `${WORK}/drag/folder/inner`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${WORK}/drag/dragged.txt`, "dragged");
  for (let i = 0; i < 120; i += 1) writeFileSync(`${folder}/${i}.txt`, `file ${i}`);
  await enter(page, TOKEN, `#/browse/${space}/${TENANT}?prefix=in%2F`);
  const area = page.getByRole("region", { name: "Upload" });
  await area.scrollIntoViewIfNeeded();
  const { x, y, width, height } = await area.boundingBox();
  const input = await page.context().newCDPSession(page);
  for (const step of ["dragEnter", "dragOver", "drop"]) {
    await input.send("Input.dispatchDragEvent", { type: step, x: x + width / 2, y: y + height / 2,
      data: { items: [], files: [`${WORK}/drag/dragged.txt`, `${WORK}/drag/folder`], dragOperationsMask: 1 } });
  }
  await page.getByRole("link", { name: "dragged.txt" }).waitFor();
  await page.getByText("Uploads: all done").waitFor();
  assert.equal((await stored(space, "in/dragged.txt")).toString(), "dragged");
  assert.equal((await stored(space, "in/folder/inner/119.txt")).toString(), "file 119");
  assert.equal((await keys(space, "&prefix=in/folder/")).length, 120);
});

scenario("a large upload that broke off goes on where it was, after the page was closed, too", async (page) => {
  const space = "large";
  const bytes = randomBytes(40 << 20);
  writeFileSync(`${WORK}/large.bin`, bytes);
  await enter(page, TOKEN, `#/browse/${space}/${TENANT}`);
  // Two parts arrive; then the network is gone.
  let parts = 0;
  const cut = (route) => {
    parts += 1;
    return parts <= 2 ? route.continue() : route.abort("connectionreset");
  };
  await page.route("**/parts/*", cut);
  page.lenient = true;
  const begin = async () => {
    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.getByRole("button", { name: "Choose files" }).click()]);
    await chooser.setFiles(`${WORK}/large.bin`);
  };
  await begin();
  await page.getByRole("button", { name: "Pause large.bin" }).waitFor();
  await page.waitForFunction(() => /\b([4-9]\d|3[0-9]) %/.test(document.querySelector(".transfers li .muted").textContent));
  await page.getByRole("button", { name: "Pause large.bin" }).click();
  await page.getByText("stopped at").waitFor();
  await page.unroute("**/parts/*");
  await page.goto("about:blank");
  const sent = [];
  page.on("request", (request) => request.url().includes("/parts/") && sent.push(request.url()));
  await enter(page, TOKEN, `#/browse/${space}/${TENANT}`);
  await begin();
  await page.getByText("2 parts were there").waitFor();
  await page.getByRole("link", { name: "large.bin" }).waitFor();
  assert.equal(sent.length, 3, "five parts of 8 MiB, of which two were there");
  assert.equal(sha256(await stored(space, "large.bin")), sha256(bytes));
  assert.equal(await page.evaluate(() => localStorage.getItem("juststorage.uploads")), "{}");
});

scenario("on a phone nothing is wider than the screen", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open({ viewport: { width: 360, height: 740 }, colorScheme, hasTouch: true, isMobile: true });
    await write("phone", `a-rather-long-prefix-of-somebody/${"n".repeat(120)}.txt`, "text");
    await enter(page, TOKEN, `#/browse/phone/${TENANT}`);
    for (const next of [null, "a-rather-long-prefix-of-somebody/", "nnn"]) {
      if (next) await page.getByRole("link", { name: next }).first().tap();
      await page.getByRole("heading", { level: 1 }).waitFor();
      await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth + 1), `${colorScheme}, ${next}`);
      await accessible(page, `phone, ${colorScheme}, ${next}`);
    }
    await go(page, "#/home");
    await page.getByText("What deduplication saves").waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth + 1), `${colorScheme}, home`);
    await accessible(page, `phone, ${colorScheme}, home`);
    await page.context().close();
  }
});
