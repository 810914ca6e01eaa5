// Where authentication is disabled: no sign-in.
import assert from "node:assert/strict";
import { NATIVE_URL, TENANT, accessible, run_all, scenario } from "./lib.mjs";

scenario("the page is there without signing in", async (page) => {
  await fetch(`${NATIVE_URL}/v1/objects/by-key/demo/${TENANT}/hello.txt`, { method: "PUT", body: "hello" });
  await page.goto(`${NATIVE_URL}/`);
  await page.getByRole("heading", { name: "Home" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Sign out" }).count(), 0);
  await page.getByText("What deduplication saves").waitFor();
  await page.getByRole("heading", { name: "Requests" }).waitFor();
  await accessible(page, "home without sign-in");
  await page.getByRole("link", { name: "Browse" }).click();
  await page.getByRole("link", { name: "demo", exact: true }).click();
  await page.getByRole("link", { name: "hello.txt" }).click();
  await page.getByText("hello", { exact: true }).waitFor();
});

await run_all();
