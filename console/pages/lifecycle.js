// Settings of one space: lifecycle rules, versioning, class, CORS, tags.

import { call, get, query } from "../lib/api.js";
import { foreign, h } from "../lib/dom.js";
import { amount } from "../lib/format.js";
import { aws, curl, juststorage } from "../lib/shell.js";
import { ask, button, choice, facts, field, go, pages, part, same, say, table, tick } from "../lib/ui.js";
import { link } from "./spaces.js";

const where = (space) => `/v1/admin/spaces/${encodeURIComponent(space.namespace)}/${encodeURIComponent(space.tenant)}`;

function words(rule) {
  const said = [];
  const { expiration, noncurrent_expiration: old } = rule;
  if (expiration?.days) said.push(`delete after ${expiration.days} days`);
  if (expiration?.date) said.push(`delete on ${expiration.date.slice(0, 10)}`);
  if (expiration?.delete_markers) said.push("remove delete markers that hide nothing");
  if (old) said.push(`delete older versions after ${old.days} days${old.keep_newest ? `, but keep ${old.keep_newest}` : ""}`);
  for (const move of rule.transitions ?? []) said.push(move.date ? `move to cold on ${move.date.slice(0, 10)}` : `move to cold after ${move.days} days`);
  for (const move of rule.noncurrent_transitions ?? []) said.push(`move older versions to cold after ${move.days} days`);
  if (rule.abort_uploads_days) said.push(`abort uploads after ${rule.abort_uploads_days} days`);
  return said.join("; ") || "nothing";
}

function scope(filter) {
  const said = [filter?.prefix && `keys below ${filter.prefix}`, ...Object.entries(filter?.tags ?? {}).map(([name, value]) => `tag ${name}=${value}`),
    filter?.larger_than != null && `over ${filter.larger_than} bytes`, filter?.smaller_than != null && `under ${filter.smaller_than} bytes`].filter(Boolean);
  return said.length ? foreign(said.join(", ")) : "every object";
}

/** Absent members stay absent: the server tells an absent one from null. */
function compact(value) {
  if (Array.isArray(value)) return value.map(compact);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null && member !== undefined).map(([name, member]) => [name, compact(member)]));
}

async function put_rules(space, rules) {
  const json = { ...compact(space.settings.lifecycle ?? {}), rules: compact(rules) };
  if (rules.length) return call("PUT", `${where(space)}/lifecycle`, { json });
  return call("DELETE", `${where(space)}/lifecycle`, { tenant: space.tenant });
}

async function add_rule(space, again) {
  const number = (name) => h("input", { type: "number", min: 1, name, autocomplete: "off" });
  const id = h("input", { name: "id", required: true, maxlength: 255, autocomplete: "off", spellcheck: "false" });
  const prefix = h("input", { name: "prefix", autocomplete: "off", spellcheck: "false" });
  const larger = h("input", { name: "larger", autocomplete: "off" });
  const [days, cold, old, keep, uploads] = ["days", "cold", "old", "keep", "uploads"].map(number);
  const of = (input) => (input.value ? Number(input.value) : null);
  const rule = () => {
    const filter = { prefix: prefix.value || null, larger_than: larger.value ? amount(larger.value) : null };
    return compact({
      id: id.value, enabled: true, filter,
      expiration: of(days) && { days: of(days) },
      transitions: of(cold) && [{ days: of(cold) }],
      noncurrent_expiration: of(old) && { days: of(old), keep_newest: of(keep) },
      abort_uploads_days: of(uploads),
    });
  };
  const before = space.settings.lifecycle?.rules ?? [];
  const done = await ask("New rule", {
    action: "Add",
    body: [
      field("Name", id), field("Only keys that begin with", prefix, "Empty: every key."), field("Only objects larger than", larger, "Such as 1 MiB. Empty: of every size."),
      field("Delete after days", days), field("Move to cold after days", cold), field("Delete older versions after days", old),
      field("but keep this many of the newest", keep), field("Abort unfinished uploads after days", uploads),
    ],
    submit: () => {
      const made = rule();
      if (!made.expiration && !made.transitions && !made.noncurrent_expiration && !made.abort_uploads_days) throw new Error("say what the rule does");
      if (Number.isNaN(made.filter.larger_than)) throw new Error("the size is no number");
      return put_rules(space, [...before.filter((one) => one.id !== made.id), made]);
    },
    lines: () => [["API", curl("PUT", `${where(space)}/lifecycle`, { json: { rules: [...compact(before), rule()] } })],
      ["S3", space.buckets[0] && aws("s3api", "put-bucket-lifecycle-configuration", "--bucket", space.buckets[0], "--lifecycle-configuration", "file://rules.json")]],
  });
  if (done) {
    say("The rule holds; it is applied within a day.");
    again();
  }
}

async function drop_rule(space, rule, again) {
  const rest = space.settings.lifecycle.rules.filter((one) => one !== rule);
  const done = await ask("Remove a rule", {
    action: "Remove", danger: true, body: h("p", {}, "What it deleted stays deleted: ", h("b", {}, foreign(rule.id ?? "without a name"))),
    submit: () => put_rules(space, rest),
    lines: () => [["API", rest.length ? curl("PUT", `${where(space)}/lifecycle`, { json: { rules: compact(rest) } }) : curl("DELETE", `${where(space)}/lifecycle`)]],
  });
  if (done) again();
}

async function toggle_rule(space, rule, again) {
  await put_rules(space, space.settings.lifecycle.rules.map((one) => (one === rule ? { ...one, enabled: rule.enabled === false } : one)));
  await again();
}

function rules(space, again) {
  const list = space.settings.lifecycle?.rules ?? [];
  return h("section", { class: "card" },
    h("div", { class: "bar" }, h("h2", {}, "Lifecycle rules"), button("New rule", () => add_rule(space, again), { class: "primary" })),
    table("Rules", [
      ["Name", (rule) => foreign(rule.id ?? "–")],
      ["About", (rule) => scope(rule.filter)],
      ["Does", words],
      ["", (rule) => rule.enabled === false && h("span", { class: "tag warn" }, "off")],
      ["", (rule) => h("span", { class: "row end" },
        button(rule.enabled === false ? "Turn on" : "Turn off", () => toggle_rule(space, rule, again), { class: "small", "aria-label": `Turn ${rule.enabled === false ? "on" : "off"} ${rule.id}` }),
        button("Remove", () => drop_rule(space, rule, again), { class: "small danger", "aria-label": `Remove ${rule.id}` }))],
    ], list, "No rule: objects stay until they are deleted."),
    same([["API", curl("GET", where(space))], ["Command line, apply now", juststorage("lifecycle")],
      ["S3", space.buckets[0] && aws("s3api", "get-bucket-lifecycle-configuration", "--bucket", space.buckets[0])]]));
}

async function versioning(space, again) {
  const to = space.versioning === "enabled" ? "suspended" : "enabled";
  const json = { status: to };
  const done = await ask(to === "enabled" ? "Keep versions" : "Suspend versioning", {
    action: to === "enabled" ? "Enable" : "Suspend",
    body: h("p", {}, to === "enabled" ? "Every write and delete keeps what was there before." : "Versions that exist stay; new writes replace each other."),
    submit: () => call("PUT", `${where(space)}/versioning`, { json }),
    lines: () => [["API", curl("PUT", `${where(space)}/versioning`, { json })],
      ["S3", space.buckets[0] && aws("s3api", "put-bucket-versioning", "--bucket", space.buckets[0], "--versioning-configuration", `Status=${to === "enabled" ? "Enabled" : "Suspended"}`)]],
  });
  if (done) again();
}

async function change_class(space, again) {
  const select = choice([["hot", "hot"], ["cold", "cold"]], space.default_class, { name: "class" });
  const json = () => ({ class: select.value });
  const done = await ask("Default class", {
    action: "Save", body: field("Objects that ask for no class are", select), submit: () => call("PUT", `${where(space)}/default-class`, { json: json() }),
    lines: () => [["API", curl("PUT", `${where(space)}/default-class`, { json: json() })]],
  });
  if (done) again();
}

/** Edits a setting that is a JSON document. */
async function change_document(space, setting, label, example, again) {
  const now = space.settings[setting.replaceAll("-", "_")];
  const text = h("textarea", { name: setting, rows: 12, spellcheck: "false", value: JSON.stringify(now ?? example, null, 2) });
  const remove = tick("Remove it", { name: "remove" });
  const done = await ask(label, {
    action: "Save", body: [field(label, text), now !== null && remove.element],
    submit: () => {
      if (remove.box.checked) return call("DELETE", `${where(space)}/${setting}`, { tenant: space.tenant });
      let json;
      try {
        json = JSON.parse(text.value);
      } catch (error) {
        throw new Error(`this is not JSON: ${error.message}`);
      }
      return call("PUT", `${where(space)}/${setting}`, { json });
    },
    lines: () => [["API", remove.box.checked ? curl("DELETE", `${where(space)}/${setting}`)
      : curl("PUT", `${where(space)}/${setting}`, { headers: { "Content-Type": "application/json" }, data: `${setting}.json` })]],
  });
  if (done) again();
}

const CORS = { rules: [{ id: null, origins: ["https://app.example"], methods: ["GET"], headers: ["*"], expose: ["ETag"], max_age_seconds: 300 }] };
const LOCK = { default: { mode: "governance", days: 30 } };
const PUBLIC = { block_public_acls: true, ignore_public_acls: true, block_public_policy: true, restrict_public_buckets: true };

function settings(space, again) {
  const document = (setting, label, example) => [
    space.settings[setting.replaceAll("-", "_")] ? "set" : "none", " ",
    button("Change", () => change_document(space, setting, label, example, again), { class: "small", "aria-label": `Change ${label}` }),
  ];
  return h("section", { class: "card" }, h("h2", {}, "Settings"), facts([
    ["Buckets", space.buckets.join(", ") || "none"],
    ["Versioning", [space.versioning, " ", button(space.versioning === "enabled" ? "Suspend" : "Enable", () => versioning(space, again), { class: "small", "aria-label": `${space.versioning === "enabled" ? "Suspend" : "Enable"} versioning` })]],
    ["Default class", [space.default_class, " ", button("Change", () => change_class(space, again), { class: "small", "aria-label": "Change the default class" })]],
    ["Object lock", [space.object_lock ? "on" : "off", " ", button("Change", () => change_document(space, "object-lock", "Object lock", LOCK, again), { class: "small", "aria-label": "Change object lock" })]],
    ["CORS", document("cors", "CORS", CORS)],
    ["Tags", document("tags", "Tags", { team: "search" })],
    ["Public access", document("public-access", "Public access", PUBLIC)],
    ["Policy", go(space.settings.policy ? "See it" : "None: write one", link(["access", "policies", space.namespace, space.tenant]), { class: "button small" })],
  ]));
}

function choose() {
  return pages(async (cursor) => {
    const page = await get(`/v1/admin/spaces${query({ cursor })}`);
    return { next: page.next_cursor, content: table("Spaces", [
      ["Space", (space) => h("a", { href: link(["lifecycle", space.namespace, space.tenant]) }, foreign(`${space.namespace}/${space.tenant}`))],
      ["Versioning", (space) => space.versioning],
      ["Default class", (space) => space.default_class],
      ["Object lock", (space) => (space.object_lock ? "on" : "off")],
    ], page.spaces, "No space yet.") };
  }).place;
}

/** The page. */
export async function show([namespace, tenant]) {
  if (!tenant) return { title: "Lifecycle", content: [h("h1", {}, "Lifecycle and settings"), h("p", { class: "muted" }, "Choose a space."), choose()] };
  return {
    title: `Lifecycle of ${namespace}`,
    content: [
      h("nav", { class: "crumbs", "aria-label": "Spaces" }, h("a", { href: "#/lifecycle" }, "Spaces")),
      h("div", { class: "bar" }, h("h1", {}, foreign(`${namespace}/${tenant}`)), go("Objects", link(["browse", namespace, tenant]))),
      part(async (again) => {
        const space = await get(where({ namespace, tenant }));
        return [rules(space, again), settings(space, again)];
      }).place,
    ],
  };
}
