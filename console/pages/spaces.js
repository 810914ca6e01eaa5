// Spaces that the caller sees, and the buckets that name them.

import { call, get, manages, query, session } from "../lib/api.js";
import { foreign, h } from "../lib/dom.js";
import { bytes, count } from "../lib/format.js";
import { aws, curl, juststorage } from "../lib/shell.js";
import { ask, button, choice, field, go, pages, same, say, table, tick } from "../lib/ui.js";

/** The address of a place of the console. */
export function link(parts, params = {}) {
  return `#/${parts.map(encodeURIComponent).join("/")}${query(params)}`;
}

/** The settings of one space, or null where the caller may not see them. */
export async function space_of(namespace, tenant) {
  if (!manages()) return null;
  try {
    return await get(`/v1/admin/spaces/${encodeURIComponent(namespace)}/${encodeURIComponent(tenant)}`);
  } catch (error) {
    if (error.status === 404 || error.status === 403) return null;
    throw error;
  }
}

function new_bucket(again) {
  const name = h("input", { name: "name", required: true, pattern: "[a-z0-9][a-z0-9.\\-]{1,61}[a-z0-9]", autocomplete: "off", spellcheck: "false" });
  const tenant = h("input", { name: "tenant", value: session.who.tenant ?? "default", required: true, autocomplete: "off", spellcheck: "false" });
  const lock = tick("Object lock: versions can be kept from deletion");
  const json = () => ({ name: name.value, tenant: tenant.value, object_lock: lock.box.checked });
  return ask("New bucket", {
    action: "Create",
    body: [field("Name", name, "3 to 63 of a-z, 0-9, . and -. The space behind it has the same name."), field("Tenant", tenant), lock.element],
    submit: async () => {
      const made = await call("POST", "/v1/admin/buckets", { json: json() });
      say(`The bucket ${made.name} is there.`);
      again();
      return made;
    },
    lines: () => [
      ["API", curl("POST", "/v1/admin/buckets", { json: json() })],
      ["Command line", juststorage("bucket", "create", name.value || "NAME", "--tenant", tenant.value)],
      ["S3", aws("s3", "mb", `s3://${name.value || "NAME"}`)],
    ],
  });
}

function delete_bucket(space, again) {
  const select = choice(space.buckets.map((name) => [name, name]), space.buckets[0], { name: "bucket" });
  return ask("Delete a bucket", {
    action: "Delete", danger: true,
    body: [field("Bucket", select, "It must be empty. The space keeps its settings.")],
    submit: async () => {
      await call("DELETE", `/v1/admin/buckets/${encodeURIComponent(select.value)}`, { tenant: space.tenant });
      say("The bucket is gone.");
      again();
    },
    lines: () => [["API", curl("DELETE", `/v1/admin/buckets/${select.value}`)], ["Command line", juststorage("bucket", "delete", select.value)]],
  });
}

function open_space() {
  const namespace = h("input", { name: "namespace", required: true, autocomplete: "off", spellcheck: "false" });
  const tenant = h("input", { name: "tenant", value: session.who.tenant ?? "default", required: true, autocomplete: "off", spellcheck: "false" });
  return h("form", { class: "row", onsubmit: (event) => {
    event.preventDefault();
    location.hash = link(["browse", namespace.value, tenant.value]);
  } }, field("Namespace", namespace), field("Tenant", tenant), h("button", { type: "submit" }, "Open"));
}

// What a caller that is bound to prefixes of keys may open: the figures of whole spaces are not for it.
function bound() {
  const { namespaces, prefixes, tenant } = session.who;
  const named = (namespaces ?? []).filter((name) => !name.endsWith("*"));
  const places = named.flatMap((namespace) => prefixes.map((prefix) => ({ namespace, prefix })));
  return {
    title: "Browse",
    content: [
      h("h1", {}, "Browse"),
      h("p", {}, "This credential uses the keys that begin with ", prefixes.map((prefix, at) => [at > 0 && ", ", h("code", {}, foreign(prefix))]), "."),
      table("Prefixes", [
        ["Namespace", (place) => foreign(place.namespace)],
        ["Prefix", (place) => h("a", { href: link(["browse", place.namespace, tenant], { prefix: place.prefix }) }, foreign(place.prefix))],
      ], places, "Open the space by its name."),
      open_space(),
    ],
  };
}

/** The page. */
export async function show(parts, params) {
  if (session.who.prefixes) return bound();
  const prefix = params.get("prefix") ?? "";
  const filter = h("input", { type: "search", name: "prefix", value: prefix, autocomplete: "off", spellcheck: "false" });
  const { place, again } = pages(async (cursor) => {
    const { spaces, next_cursor: next } = await get(`/v1/admin/spaces${query({ prefix, cursor })}`);
    const content = table("Spaces", [
      ["Namespace", (space) => h("a", { href: link(["browse", space.namespace, space.tenant]) }, foreign(space.namespace))],
      ["Tenant", (space) => foreign(space.tenant)],
      ["Buckets", (space) => space.buckets.join(", ") || "–"],
      ["Versioning", (space) => space.versioning],
      ["Objects", (space) => count(space.objects), "number"],
      ["Bytes", (space) => bytes(space.logical_bytes), "number"],
      ["Saved", (space) => bytes(space.saved_bytes), "number"],
      manages() && ["", (space) => h("span", { class: "row end" },
        go("Settings", link(["lifecycle", space.namespace, space.tenant]), { class: "button small", "aria-label": `Settings of ${space.namespace}` }),
        space.buckets.length > 0 && button("Delete bucket", () => delete_bucket(space, again), { class: "small", "aria-label": `Delete bucket of ${space.namespace}` }))],
    ].filter(Boolean), spaces, prefix ? "No space begins with this." : "No space yet: create a bucket, or write the first object.");
    return { content, next };
  });
  return {
    title: "Browse",
    content: [
      h("div", { class: "bar" }, h("h1", {}, "Browse"),
        manages() && button("New bucket", () => new_bucket(again), { class: "primary" })),
      h("form", { class: "row", role: "search", onsubmit: (event) => {
        event.preventDefault();
        location.hash = link(["browse"], { prefix: filter.value });
      } }, field("Namespaces that begin with", filter), h("button", { type: "submit" }, "Filter")),
      place,
      h("details", {}, h("summary", {}, "Open a space that is not listed"), open_space()),
      same([["API", curl("GET", "/v1/admin/spaces")],
        ["Command line", juststorage("stats")], ["S3", aws("s3", "ls")]]),
    ],
  };
}
