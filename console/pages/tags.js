// The tags of one version: a name and a value each, ten at most.

import { call, get } from "../lib/api.js";
import { foreign, h } from "../lib/dom.js";
import { aws, curl } from "../lib/shell.js";
import { ask, button, say } from "../lib/ui.js";

const TAGS_MAX = 10;

const where = (object) => `/v1/objects/${encodeURIComponent(object.id)}/tags`;

/** The tags as the server has them now; the listing's may be older. */
export async function tags_of(object) {
  return (await get(where(object), { tenant: object.tenant_id })).tags;
}

/** Tags to read. */
export function shown(tags) {
  const pairs = Object.entries(tags ?? {});
  return pairs.length ? h("ul", { class: "plain" }, pairs.map(([name, value]) => h("li", {}, foreign(name), " = ", foreign(value)))) : "none";
}

// Rows of a name and a value. A row without a name counts as none.
function editor(tags, changed) {
  const rows = h("div", { role: "group", "aria-label": "Tags" });
  const add = button("Add a tag", () => {
    row("", "").focus();
    changed();
  });
  const number = () => {
    [...rows.children].forEach((one, at) => {
      const [name, value, remove] = one.querySelectorAll("input, button");
      name.setAttribute("aria-label", `Name of tag ${at + 1}`);
      value.setAttribute("aria-label", `Value of tag ${at + 1}`);
      remove.setAttribute("aria-label", `Remove tag ${at + 1}`);
    });
    add.disabled = rows.children.length >= TAGS_MAX;
  };
  const row = (name, value) => {
    const input = (text, most) => h("input", { value: text, maxlength: most, autocomplete: "off", spellcheck: "false", class: "grow" });
    const field = input(name, 128);
    const line = h("div", { class: "row" }, field, h("span", { "aria-hidden": "true" }, "="), input(value, 256), button("Remove", () => {
      const next = line.nextElementSibling ?? line.previousElementSibling;
      line.remove();
      number();
      (next?.querySelector("input") ?? add).focus();
      changed();
    }, { class: "small" }));
    rows.append(line);
    number();
    return field;
  };
  for (const [name, value] of Object.entries(tags)) row(name, value);
  if (!rows.children.length) row("", "");
  const read = () => {
    const tags = new Map();
    for (const line of rows.children) {
      const [name, value] = [...line.querySelectorAll("input")].map((one) => one.value);
      if (!name && value) throw new Error(`the value ${value} has no name`);
      if (name && tags.has(name)) throw new Error(`there are two tags with the name ${name}`);
      if (name) tags.set(name, value);
    }
    return Object.fromEntries(tags);
  };
  return { element: [rows, h("div", { class: "row" }, add)], read };
}

function lines(object, bucket, tags) {
  const headers = { "X-Tenant": object.tenant_id };
  const none = Object.keys(tags).length === 0;
  const named = bucket && object.key !== null && ["--bucket", bucket, "--key", object.key];
  const version = object.is_latest === false ? ["--version-id", object.id] : [];
  const set = JSON.stringify({ TagSet: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) });
  return [
    ["API", none ? curl("DELETE", where(object), { headers }) : curl("PUT", where(object), { json: { tags }, headers })],
    named && ["S3", none ? aws("s3api", "delete-object-tagging", ...named, ...version) : aws("s3api", "put-object-tagging", ...named, ...version, "--tagging", set)],
  ];
}

/** Sets and removes tags. */
export async function tag(object, bucket, again) {
  let form;
  const edit = editor(await tags_of(object), () => form.dispatchEvent(new Event("input", { bubbles: true })));
  form = h("div", {}, edit.element);
  const done = await ask("Edit tags", {
    action: "Save",
    body: [h("p", {}, "Lifecycle rules, policies and listings can ask for tags."), form],
    submit: async () => {
      const tags = edit.read();
      const options = { tenant: object.tenant_id };
      if (Object.keys(tags).length) await call("PUT", where(object), { ...options, json: { tags } });
      else await call("DELETE", where(object), options);
      return true;
    },
    lines: () => {
      try {
        return lines(object, bucket, edit.read());
      } catch {
        return [];
      }
    },
  });
  if (done) {
    say("The tags are set.");
    again();
  }
}
