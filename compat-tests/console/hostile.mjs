// What a hostile uploader may try: names, metadata, content types and contents that would be script in a careless page.
import assert from "node:assert/strict";
import { NATIVE_URL, TENANT, TOKEN, api, dismiss, enter, go, open, scenario, write } from "./lib.mjs";

const SCRIPTS = [
  "<img src=x onerror=alert(1)>", "<script>alert(2)</script>", "\"><svg onload=alert(3)>", "javascript:alert(4)", "{{constructor.constructor('alert(5)')()}}",
  "'-alert(6)-'", "</title><script>alert(7)</script>", "<iframe srcdoc='<script>alert(8)</script>'>", "a\u202egpj.exe", "#/../<b>x", "%3Cscript%3Ealert(9)%3C/script%3E",
];
const HTML = "<!doctype html><script>alert('ran'); fetch('/v1/usage')</script><img src=x onerror=alert(1)>";
const SVG = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(2)</script></svg>';
const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==", "base64");

scenario("names, metadata and content types of a hostile uploader are text on every page", async (page) => {
  const space = "hostile";
  for (const [index, name] of SCRIPTS.entries()) {
    await write(space, `${name}/${name}`, HTML, { "Content-Type": "text/html", "X-Meta-Evil": SCRIPTS[0], "Content-Disposition": "inline" });
    await write(space, `flat-${index}-${name.replaceAll("/", "")}`, SVG, { "Content-Type": "image/svg+xml", "X-Meta-Evil": "\"><script>alert(1)</script>" });
  }
  await enter(page, TOKEN, `#/browse/${space}/${TENANT}`);
  await page.getByRole("link", { name: "flat-0-" }).waitFor();
  for (const [index, name] of SCRIPTS.entries()) {
    await go(page, `#/browse/${space}/${TENANT}?prefix=${encodeURIComponent(`${name}/`)}`);
    // Every entry of every level is opened by a click, as a person would.
    await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
    const links = page.getByRole("region", { name: "Objects" }).getByRole("link");
    assert.equal(await links.count(), 1, name);
    await links.first().click();
    for (let depth = name.split("/").length; depth > 1; depth -= 1) {
      await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
      const deeper = page.getByRole("region", { name: "Objects" }).getByRole("link");
      if (await deeper.count()) await deeper.first().click();
    }
    await page.getByRole("heading", { name: "Preview" }).waitFor();
    await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
    // The document is shown as its text.
    assert.ok((await page.getByRole("main").innerText()).includes("<!doctype html><script>alert('ran')"), name);
    for (const verb of ["Share", "Copy", "Edit metadata", "Delete"]) {
      await page.getByRole("button", { name: verb, exact: true }).first().click();
      await page.getByRole("dialog").waitFor();
      await page.getByRole("dialog").getByText("Same by API").click();
      await dismiss(page);
    }
    if (index < 2) {
      await go(page, `#/browse/${space}/${TENANT}`);
      const box = page.getByRole("checkbox", { name: `Choose flat-${index}-` });
      await box.check();
      await page.getByRole("button", { name: "Delete 1 object" }).click();
      await page.getByRole("dialog").getByText(`flat-${index}-`).first().waitFor();
      await dismiss(page);
    }
  }
  assert.equal(await page.locator("main img, main iframe, main object, main embed, main script, main b:has-text('x')").count(), 0);
  // A name that turns the direction of text shows that it does.
  await go(page, `#/browse/${space}/${TENANT}`);
  await page.getByText("‹202e›").first().waitFor();
});

scenario("only real PNG, JPEG, GIF and WebP become images, whatever the content type says", async (page) => {
  const space = "pictures";
  await write(space, "real.txt", PNG, { "Content-Type": "text/html" });
  await write(space, "vector.png", SVG, { "Content-Type": "image/png" });
  await write(space, "half.png", Buffer.concat([PNG.subarray(0, 8), Buffer.from(HTML)]), { "Content-Type": "image/png" });
  await enter(page, TOKEN, `#/browse/${space}/${TENANT}`);
  await page.getByRole("link", { name: "real.txt" }).click();
  await page.waitForFunction(() => document.querySelector("img.preview")?.naturalWidth === 1);
  await go(page, `#/browse/${space}/${TENANT}`);
  await page.getByRole("link", { name: "vector.png" }).click();
  await page.getByText("<svg xmlns").waitFor();
  assert.equal(await page.locator("main img").count(), 0);
  await go(page, `#/browse/${space}/${TENANT}`);
  await page.getByRole("link", { name: "half.png" }).click();
  await page.getByText("It begins like an image").waitFor();
});

scenario("a document of an uploader that is opened at its own address runs nothing with the console's rights", async (page) => {
  const space = "documents";
  for (const [key, type] of [["page.html", "text/html"], ["page.svg", "image/svg+xml"], ["page.xhtml", "application/xhtml+xml"], ["odd", "TEXT/HTML ; charset=x"], ["xml", "application/xml"]]) {
    const text = key === "page.html" || key === "odd" ? HTML : `<html xmlns="http://www.w3.org/1999/xhtml"><body><script>alert('ran')</script>${SVG}</body></html>`;
    const { id } = await write(space, key, text, { "Content-Type": type });
    const signed = await (await api("POST", "/v1/presign", { json: { method: "GET", id, expires_in: 600 } })).json();
    const other = await open();
    other.lenient = true;
    const answer = await other.goto(new URL(signed.path, NATIVE_URL).href).catch((error) => {
      if (!/Download is starting|ERR_ABORTED/.test(error.message)) throw error;
      return null;
    });
    if (answer) {
      assert.match(answer.headers()["content-security-policy"] ?? "", /sandbox/, key);
      assert.equal(answer.headers()["x-content-type-options"], "nosniff");
      assert.equal(await other.evaluate(() => origin), "null", key);
    }
    await other.context().close();
  }
  const picture = await write(space, "picture.png", PNG, { "Content-Type": "image/png" });
  const plain = await api("GET", `/v1/objects/${picture.id}`, { headers: { "X-Tenant": TENANT } });
  assert.equal(plain.headers.get("content-security-policy"), null);
  assert.equal(plain.headers.get("x-content-type-options"), "nosniff");
  await page.goto("about:blank");
});

scenario("the console's files come with a strict policy and nothing from elsewhere", async () => {
  const index = await fetch(`${NATIVE_URL}/console/`);
  const policy = index.headers.get("content-security-policy");
  assert.match(policy, /default-src 'self'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe|data:|\*/);
  assert.equal(index.headers.get("x-content-type-options"), "nosniff");
  assert.equal(index.headers.get("referrer-policy"), "no-referrer");
  const text = await index.text();
  const { gzipSync } = await import("node:zlib");
  const seen = new Map([["/console/", text]]);
  const wanted = [...text.matchAll(/(?:href|src)="([^"#]+)"/g)].map(([, path]) => path);
  while (wanted.length) {
    const path = wanted.pop();
    if (seen.has(path)) continue;
    const answer = await fetch(NATIVE_URL + path);
    assert.equal(answer.status, 200, path);
    assert.match(answer.headers.get("content-type"), /^(text\/(html|css|javascript)|image\/svg\+xml)/, path);
    const again = await fetch(NATIVE_URL + path, { headers: { "If-None-Match": answer.headers.get("etag") } });
    assert.equal(again.status, 304, path);
    const code = await answer.text();
    seen.set(path, code);
    for (const [, from] of code.matchAll(/from "(\.[^"]+)"/g)) wanted.push(new URL(from, `http://x${path}`).pathname);
  }
  const size = [...seen.values()].reduce((sum, code) => sum + gzipSync(code).length, 0);
  assert.ok(seen.size > 20 && size < 150 << 10, `${seen.size} files of ${size} bytes compressed`);
  console.log(`   ${seen.size} files, ${size} bytes compressed`);
  assert.equal((await fetch(`${NATIVE_URL}/console/../v1/usage`)).status, 401);
  assert.equal((await fetch(`${NATIVE_URL}/console/none.js`)).status, 404);
  assert.equal((await fetch(`${NATIVE_URL}/`, { redirect: "manual" })).headers.get("location"), "/console/");
});
