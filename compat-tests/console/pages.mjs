// Pages of other origins, in a real browser: one that JUSTSTORAGE_CORS_ORIGINS names (http://127.0.0.1:ORIGIN_PORT), and one that it does not.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { NATIVE_URL, TENANT, TOKEN, browser, keys, run_all, scenario } from "./lib.mjs";

/** A page of an origin of its own, and what its script meets. */
async function from_origin(port, script, given) {
  const server = createServer((_, answer) => answer.setHeader("Content-Type", "text/html").end("<!doctype html><title>a page</title>"));
  await new Promise((ready) => server.listen(port, "127.0.0.1", ready));
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    return await page.evaluate(script, given);
  } finally {
    await context.close();
    server.close();
  }
}

/** Runs in the page: each request's status, or that the browser kept the answer to itself. */
async function calls({ url, token, tenant, key }) {
  const path = `/v1/objects/by-key/pages/${tenant}/${key}`;
  const call = async (method, path, more = {}) => {
    try {
      const headers = { "X-Api-Key": token, ...more.headers };
      const answer = await fetch(url + path, { method, body: more.body, headers });
      const { status } = answer;
      const [tag, id, owner, text] = [answer.headers.get("etag"), answer.headers.get("x-object-id"), answer.headers.get("x-meta-owner"), await answer.text()];
      return { status, tag, id, owner, text };
    } catch (error) {
      return { status: error.name };
    }
  };
  return {
    put: await call("PUT", path, { body: new Blob(["from a page"]), headers: { "X-Meta-Owner": "me" } }),
    get: await call("GET", path),
    missing: await call("GET", `${path}-none`),
    wrong: await call("GET", path, { headers: { "X-Api-Key": "wrong" } }),
    form: await call("POST", "/v1/uploads", { body: "a form", headers: { "Content-Type": "text/plain" } }),
    admin: await call("GET", "/v1/admin/whoami"),
    metrics: await call("GET", "/metrics"),
  };
}

scenario("a page of a named origin makes the calls of clients, and reads errors", async () => {
  const met = await from_origin(Number(process.env.ORIGIN_PORT), calls, { url: NATIVE_URL, token: TOKEN, tenant: TENANT, key: "named" });
  const statuses = Object.fromEntries(Object.entries(met).map(([name, { status }]) => [name, status]));
  assert.deepEqual(statuses, { put: 201, get: 200, missing: 404, wrong: 401, form: 415, admin: "TypeError", metrics: "TypeError" });
  assert.equal(met.get.text, "from a page");
  assert.equal(met.get.owner, "me");
  assert.ok(met.get.tag && met.get.id && met.get.tag === met.put.tag);
  assert.equal(JSON.parse(met.missing.text).code, "object_not_found");
  assert.equal(JSON.parse(met.wrong.text).code, "unauthenticated");
});

scenario("a page of any other origin reads nothing and writes nothing", async () => {
  const met = await from_origin(0, calls, { url: NATIVE_URL, token: TOKEN, tenant: TENANT, key: "other" });
  for (const [name, { status }] of Object.entries(met)) assert.equal(status, "TypeError", name);
  assert.deepEqual(await keys("pages"), ["named"]);
});

await run_all();
