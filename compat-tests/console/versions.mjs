// Versions of a key in a space that keeps them; and what a caller with few rights sees.
import assert from "node:assert/strict";
import { NATIVE_URL, TENANT, TOKEN, accessible, api, enter, go, keyboard, keys, mouse, scenario, write } from "./lib.mjs";

const { READER } = process.env;

for (const hand of [mouse, keyboard]) {
  scenario(`restore and remove versions by ${hand.name}`, async (page) => {
    const space = `versions-${hand.name}`;
    for (const text of ["one", "two!", "three"]) await write(space, "doc.txt", text);
    const text = async () => (await api("GET", `/v1/objects/by-key/${space}/${TENANT}/doc.txt`)).text();
    await enter(page, TOKEN, `#/browse/${space}/${TENANT}`);
    await hand.press(page.getByRole("link", { name: "doc.txt" }));
    await page.getByText("three", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Restore" }).nth(1).waitFor();
    await accessible(page, "versions");
    // The oldest is the last.
    await hand.press(page.getByRole("button", { name: "Restore" }).nth(1));
    await page.getByText("one", { exact: true }).waitFor();
    assert.equal(await text(), "one");

    await hand.press(page.getByRole("button", { name: "Delete", exact: true }));
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }));
    await page.getByText("No object here yet.").waitFor();
    await api("GET", `/v1/objects/by-key/${space}/${TENANT}/doc.txt`, { status: 404 });

    // What was deleted is found by the versions that stayed, and comes back.
    const { objects } = await (await api("GET", `/v1/objects?namespace=${space}&tenant=${TENANT}&versions=true`)).json();
    assert.equal(objects.length, 5);
    await go(page, `#/object/${objects[1].id}?tenant=${TENANT}&namespace=${space}&key=doc.txt`);
    await hand.press(page.getByRole("button", { name: "Remove marker" }));
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Remove", exact: true }));
    await page.getByText("The marker is gone.").waitFor();
    assert.equal(await text(), "one");
    await page.getByRole("button", { name: "Delete for good" }).nth(3).waitFor();
    await hand.press(page.getByRole("button", { name: "Delete for good" }).nth(3));
    await page.getByRole("dialog").getByText("1 version").waitFor();
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Delete for good" }));
    await page.getByText("The version is gone.").waitFor();
    assert.equal((await keys(space, "&versions=true")).length, 3);
  });
}

for (const hand of [mouse, keyboard]) {
  scenario(`a version is held and let go by ${hand.name}`, async (page) => {
    const space = `versions-${hand.name}`;
    await api("PUT", `/v1/admin/spaces/${space}/${TENANT}/object-lock`, { json: {} });
    const { id } = await write(space, "held.txt", "to be kept");
    await enter(page, TOKEN, `#/browse/${space}/${TENANT}`);
    await hand.press(page.getByRole("link", { name: "held.txt" }));
    const card = page.locator("#lock");
    await hand.press(card.getByRole("button", { name: "Change the retention" }));
    await accessible(page, "retention");
    await page.getByLabel("Until the beginning of").fill("2099-12-31");
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Save" }));
    await card.getByText("governance, until").waitFor();
    const now = async () => (await api("GET", `/v1/objects/${id}/lock`, { headers: { "X-Tenant": TENANT } })).json();
    assert.deepEqual(await now(), { retention: { mode: "governance", until: "2099-12-31T00:00:00Z" }, legal_hold: false });
    await api("DELETE", `/v1/objects/${id}`, { headers: { "X-Tenant": TENANT }, status: 403 });
    await accessible(page, "lock of a version");
    await hand.press(card.getByRole("button", { name: "Turn the legal hold on" }));
    await card.getByRole("button", { name: "Turn the legal hold off" }).waitFor();
    assert.equal((await now()).legal_hold, true);
    await hand.press(card.getByRole("button", { name: "Turn the legal hold off" }));
    await card.getByRole("button", { name: "Turn the legal hold on" }).waitFor();
    await hand.press(card.getByRole("button", { name: "Change the retention" }));
    await page.getByLabel("Mode").selectOption("");
    await hand.press(page.getByRole("checkbox", { name: "End or shorten" }));
    await hand.press(page.getByRole("dialog").getByRole("button", { name: "Save" }));
    await page.getByText("The retention is gone.").waitFor();
    assert.deepEqual(await now(), { retention: null, legal_hold: false });
  });
}

scenario("whoever may only read is told no by the server, and nothing changes", async (page) => {
  await write("readers", "a.txt", "text");
  await enter(page, READER, `#/browse/readers/${TENANT}`);
  await page.getByRole("link", { name: "a.txt" }).click();
  await page.getByText("text", { exact: true }).waitFor();
  const remove = page.getByRole("button", { name: "Delete", exact: true });
  const who = await fetch(`${NATIVE_URL}/v1/admin/whoami`, { headers: { Authorization: `Bearer ${READER}` } });
  if (who.ok) {
    // It is not offered at all.
    assert.equal(await remove.count(), 0);
    for (const name of ["Move", "Edit metadata"]) assert.equal(await page.getByRole("button", { name, exact: true }).count(), 0, name);
    for (const name of ["Limits", "Maintenance", "Audit", "Lifecycle"]) assert.equal(await page.getByRole("link", { name, exact: true }).count(), 0, name);
  } else {
    await remove.click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("dialog").getByRole("alert").waitFor();
  }
  assert.deepEqual(await keys("readers"), ["a.txt"]);
});
