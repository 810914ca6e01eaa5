// What can be done with one object: download, share, copy, move, metadata, class.

import { call } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { from_now } from "../lib/format.js";
import { aws, curl } from "../lib/shell.js";
import { ask, choice, copyable, dialog, field, say, tick } from "../lib/ui.js";
import { place_of } from "./versions.js";

const id_of = (object) => `/v1/objects/${object.id}`;

/** Signs a URL for reading exactly this version, or the latest of its key. */
async function sign(object, seconds, follow = false) {
  const { namespace, tenant_id: tenant, key } = object;
  const what = follow ? { namespace, tenant, key } : { id: object.id };
  return call("POST", "/v1/presign", { json: { method: "GET", ...what, expires_in: seconds }, tenant });
}

/** Saves the object. The browser fetches it by a link of its own that ends soon, so that its size does not matter. */
export async function download(object) {
  const { path } = await sign(object, 60);
  const name = (object.key ?? object.id).split("/").filter(Boolean).at(-1) ?? object.id;
  const link = h("a", { href: path, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

/** Makes a link that everybody can read the object by until it ends. */
export async function share(object) {
  const { namespace, tenant_id: tenant, key } = object;
  const length = choice([["900", "15 minutes"], ["3600", "1 hour"], ["86400", "1 day"], ["604800", "7 days"]], "3600", { name: "expires" });
  const follow = tick("Later versions of the key, too");
  const json = () => ({ method: "GET", ...(follow.box.checked ? { namespace, tenant, key } : { id: object.id }), expires_in: Number(length.value) });
  const signed = await ask("Share", {
    action: "Create link",
    body: [h("p", {}, "Everybody who has the link can read the object, without signing in."), field("Ends after", length), key !== null && follow.element],
    submit: () => sign(object, Number(length.value), follow.box.checked),
    lines: () => [["API", curl("POST", "/v1/presign", { json: json(), headers: { "X-Tenant": tenant } })],
      key !== null && ["S3", aws("s3", "presign", `s3://${namespace}/${key}`, "--expires-in", length.value)]],
  });
  if (!signed) return;
  await dialog("Link", () => [
    h("p", {}, `It ends ${from_now(signed.expires_at)}, or when the credential that made it is revoked.`),
    copyable(new URL(signed.path, location.origin).href, "Copy link"),
  ]);
}

/** Copies the object to another key, or moves it there. */
export async function copy_or_move(object, move) {
  const { namespace, tenant_id: tenant, key } = object;
  const to_key = h("input", { name: "key", value: key, required: true, autocomplete: "off", spellcheck: "false" });
  const to_namespace = h("input", { name: "namespace", value: namespace, required: true, autocomplete: "off", spellcheck: "false" });
  const replace = tick("Replace what is there");
  // Only what is shown is moved: a version that came meanwhile stays.
  const source = move ? { namespace, tenant, key, if_match: object.etag } : { id: object.id };
  const json = () => ({ source, destination: { namespace: to_namespace.value, tenant, key: to_key.value } });
  const where = `/v1/objects/${move ? "move" : "copy"}`;
  const made = await ask(move ? "Move" : "Copy", {
    action: move ? "Move" : "Copy",
    body: [h("p", {}, "No bytes are copied: both share them."), field("Namespace", to_namespace), field("Key", to_key), replace.element],
    submit: () => {
      if (to_key.value === key && to_namespace.value === namespace) throw new Error("this is the object itself");
      return call("POST", where, { json: json(), tenant, headers: replace.box.checked ? {} : { "If-None-Match": "*" } });
    },
    lines: () => [["API", curl("POST", where, { json: json() })],
      ["S3", aws("s3", move ? "mv" : "cp", `s3://${namespace}/${key}`, `s3://${to_namespace.value}/${to_key.value}`)]],
  });
  if (!made) return;
  say(move ? "Moved." : "Copied.");
  location.hash = place_of(made);
}

/** Changes content type and metadata in place. */
export async function describe(object, again) {
  const type = h("input", { name: "type", value: object.content_type, autocomplete: "off", spellcheck: "false" });
  const before = object.metadata;
  const text = h("textarea", { name: "metadata", rows: 6, spellcheck: "false", value: Object.entries(before).map(([name, value]) => `${name}=${value}`).join("\n") });
  const json = () => {
    const after = {};
    for (const row of text.value.split("\n").filter((one) => one.trim())) {
      const at = row.indexOf("=");
      if (at < 1) throw new Error(`no name=value: ${row}`);
      after[row.slice(0, at).trim().toLowerCase()] = row.slice(at + 1).trim();
    }
    const metadata = { ...Object.fromEntries(Object.keys(before).filter((name) => !(name in after)).map((name) => [name, null])), ...after };
    return { content_type: type.value || null, metadata };
  };
  const shown = () => {
    try {
      return curl("PATCH", id_of(object), { json: json(), headers: { "X-Tenant": object.tenant_id } });
    } catch {
      return null;
    }
  };
  const done = await ask("Edit metadata", {
    action: "Save",
    body: [field("Content type", type), field("Metadata", text, "One name=value a line; 2048 bytes in all.")],
    submit: () => call("PATCH", id_of(object), { json: json(), tenant: object.tenant_id, headers: { "If-Match": object.etag } }),
    lines: () => [["API", shown()]],
  });
  if (done) again();
}

/** Asks the other class for the object. */
export async function reclass(object, again) {
  const to = object.storage_class === "hot" ? "cold" : "hot";
  const json = { storage_class: to };
  const done = await ask(`Move to ${to}`, {
    action: `Move to ${to}`,
    body: [h("p", {}, "The class changes at once; the bytes follow in the background, and stay readable.")],
    submit: () => call("PATCH", id_of(object), { json, tenant: object.tenant_id }),
    lines: () => [["API", curl("PATCH", id_of(object), { json, headers: { "X-Tenant": object.tenant_id } })]],
  });
  if (done) again();
}
