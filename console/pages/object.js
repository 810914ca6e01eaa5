// One version of one object.

import { may, send } from "../lib/api.js";
import { foreign, h } from "../lib/dom.js";
import { bytes, when } from "../lib/format.js";
import { aws, curl } from "../lib/shell.js";
import { button, facts, part, same } from "../lib/ui.js";
import { copy_or_move, describe, download, reclass, share } from "./changes.js";
import { lock } from "./lock.js";
import { preview } from "./preview.js";
import { remove_version } from "./removal.js";
import { link, space_of } from "./spaces.js";
import { shown, tag, tags_of } from "./tags.js";
import { of_key, versions } from "./versions.js";

const of_header = (headers, name) => {
  const value = headers.get(name);
  return value === null ? null : new TextDecoder().decode(Uint8Array.from(value, (character) => character.charCodeAt(0)));
};

// The API shows an object as JSON in listings only; its headers lead there. An object without key is known by its headers.
async function load(id, params) {
  const tenant = params.get("tenant");
  const { headers } = await send("HEAD", `/v1/objects/${encodeURIComponent(id)}`, { tenant });
  const metadata = {};
  for (const [name] of headers) if (name.startsWith("x-meta-")) metadata[name.slice(7)] = of_header(headers, name);
  return {
    id, tenant_id: tenant, key: params.get("key"), namespace: params.get("namespace"),
    size_bytes: Number(headers.get("content-length")), content_type: of_header(headers, "content-type"), etag: headers.get("etag"),
    content_hash: headers.get("x-content-hash"), storage_class: headers.get("x-storage-class"), created_at: headers.get("last-modified"),
    metadata, is_latest: null,
  };
}

/** The page. */
export async function show([id], params) {
  const tenant = params.get("tenant");
  const head = await load(id, params);
  const object = await found(head);
  const { namespace, key } = object;
  const again = () => dispatchEvent(new Event("hashchange"));
  const title = key ?? id;
  const above = key === null ? "" : key.slice(0, key.lastIndexOf("/") + 1);
  const keyed = key !== null && namespace !== null;
  const writes = may("write");
  const space = keyed ? await space_of(namespace, tenant) : null;
  const bucket = space ? space.buckets[0] : namespace;
  const away = () => {
    location.hash = keyed ? link(["browse", namespace, tenant], { prefix: above }) : "#/browse";
  };
  return {
    title,
    content: [
      h("nav", { class: "crumbs", "aria-label": "Prefixes" }, h("a", { href: "#/browse" }, "Spaces"),
        keyed && [" / ", h("a", { href: link(["browse", namespace, tenant]) }, foreign(`${namespace}/${tenant}`)),
          above && [" / ", h("a", { href: link(["browse", namespace, tenant], { prefix: above }) }, foreign(above))]]),
      h("h1", {}, foreign(keyed ? key.slice(above.length) || key : title)),
      object.is_latest === false && h("p", { class: "note" }, "This is an older version."),
      h("div", { class: "row" },
        button("Download", () => download(object), { class: "primary" }),
        button("Share", () => share(object)),
        writes && keyed && button("Copy", () => copy_or_move(object, false)),
        writes && keyed && may("delete") && object.is_latest !== false && button("Move", () => copy_or_move(object, true)),
        writes && button("Edit metadata", () => describe(object, again)),
        writes && button("Edit tags", () => tag(object, bucket, again)),
        writes && button(object.storage_class === "hot" ? "Move to cold" : "Move to hot", () => reclass(object, again)),
        may("delete") && button(keyed ? "Delete" : "Delete for good", () => remove_version(object, space, away), { class: "danger" })),
      h("div", { class: "columns" },
        h("section", { class: "card" }, h("h2", {}, "Preview"), part(() => preview(object)).place),
        h("section", { class: "card" }, h("h2", {}, "Properties"), facts([
          keyed && ["Key", foreign(key)],
          ["Size", `${bytes(object.size_bytes)} (${object.size_bytes} bytes)`],
          ["Content type", foreign(object.content_type)],
          ["Storage class", object.storage_class],
          ["Written", when(object.created_at)],
          ["Content hash", h("code", {}, object.content_hash)],
          ["ETag", h("code", {}, object.etag)],
          ["Id of this version", h("code", {}, id)],
          ["Metadata", shown(object.metadata)],
          ["Tags", shown(object.tags)],
          space && ["Object lock of the space", space.object_lock ? lock_of(space) : "off"],
        ]))),
      keyed && space?.object_lock && h("section", { class: "card", id: "lock" }, h("h2", {}, "Lock of this version"), part((redo) => lock(object, bucket, redo)).place),
      keyed && h("section", { class: "card" }, h("h2", {}, "Versions"), part((redo) => versions(object, redo)).place),
      same([
        ["API", curl("GET", `/v1/objects/${id}`, { headers: { "X-Tenant": tenant } })],
        keyed && ["API, by key", curl("GET", `/v1/objects/by-key/${[namespace, tenant, ...key.split("/")].map(encodeURIComponent).join("/")}`)],
        keyed && bucket && ["S3", aws("s3", "cp", `s3://${bucket}/${key}`, ".")],
      ]),
    ],
  };
}

function lock_of(space) {
  const fallback = space.settings?.object_lock?.default;
  return fallback ? `on: ${fallback.mode}, ${fallback.days ? `${fallback.days} days` : `${fallback.years} years`} by default` : "on";
}

// The listing's entry has what no header says: tags, and whether it is the latest. The link says namespace and key.
async function found(head) {
  const { tenant_id: tenant, namespace, key } = head;
  if (namespace === null || key === null) return { ...head, tags: await tags_of(head) };
  for await (const version of of_key(namespace, tenant, key)) if (version.id === head.id) return version;
  return head;
}
