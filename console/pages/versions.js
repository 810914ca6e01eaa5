// Versions of one key.

import { call, get, may, query } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { bytes, when } from "../lib/format.js";
import { button, same, say, table } from "../lib/ui.js";
import { curl } from "../lib/shell.js";
import { delete_for_good } from "./removal.js";
import { link } from "./spaces.js";

/** A page of versions that is shown at once. */
const SHOWN = 100;

/** Versions of exactly this key, newest first. */
export async function* of_key(namespace, tenant, key) {
  let cursor = null;
  do {
    const page = await get(`/v1/objects${query({ namespace, tenant, prefix: key, versions: true, limit: SHOWN, cursor })}`);
    for (const object of page.objects) {
      // The key itself comes before every other key that it begins.
      if (object.key !== key) return;
      yield object;
    }
    cursor = page.next_cursor;
  } while (cursor);
}

/** The address of the page of a version. */
export function place_of(object) {
  return link(["object", object.id], { tenant: object.tenant_id, namespace: object.namespace, key: object.key });
}

async function restore(version, again) {
  const { namespace, tenant_id: tenant, key } = version;
  const made = await call("POST", "/v1/objects/copy", { json: { source: { id: version.id }, destination: { namespace, tenant, key } }, tenant });
  say("Restored: a copy of this version is the latest now.");
  location.hash = place_of(made);
  again();
}

/** The table. */
export async function versions(object, again) {
  const { namespace, tenant_id: tenant, key } = object;
  const found = [];
  let more = false;
  for await (const version of of_key(namespace, tenant, key)) {
    if (found.length === SHOWN) {
      more = true;
      break;
    }
    found.push(version);
  }
  const shown = (version) => `${version.is_delete_marker ? "marker" : "version"} of ${when(version.created_at)}`;
  return [
    table("Versions", [
      ["Written", (version) => version.is_delete_marker ? when(version.created_at) : h("a", { href: place_of(version), "aria-current": version.id === object.id && "page" }, when(version.created_at))],
      ["", (version) => [version.is_latest && h("span", { class: "tag" }, "latest"), version.is_delete_marker && h("span", { class: "tag" }, "delete marker")]],
      ["Size", (version) => version.is_delete_marker ? "–" : bytes(version.size_bytes), "number"],
      ["", (version) => h("span", { class: "row end" },
        may("write") && !version.is_latest && !version.is_delete_marker && button("Restore", () => restore(version, again), { class: "small", "aria-label": `Restore ${shown(version)}` }),
        may("delete") && button(version.is_delete_marker ? "Remove marker" : "Delete for good", () => delete_for_good(version, again),
          { class: "small", "aria-label": `${version.is_delete_marker ? "Remove marker" : "Delete for good"}: ${shown(version)}` }))],
    ], found, "No version."),
    more && h("p", { class: "muted" }, `The newest ${SHOWN} are shown.`),
    same([
      ["API: versions", curl("GET", `/v1/objects${query({ namespace, tenant, prefix: key, versions: true })}`)],
      ["API: restore", curl("POST", "/v1/objects/copy", { json: { source: { id: "ID" }, destination: { namespace, tenant, key } } })],
    ]),
  ];
}
