// Limits and quotas of tenants, with what they use.

import { call, get, may, query } from "../lib/api.js";
import { bar } from "../lib/chart.js";
import { foreign, h } from "../lib/dom.js";
import { amount, bytes, count } from "../lib/format.js";
import { curl, juststorage } from "../lib/shell.js";
import { ask, button, field, pages, same, say, table } from "../lib/ui.js";

/** `[member, label, writes it, flag of the command]`. */
const LIMITS = [
  ["quota_bytes", "Bytes stored", bytes, "--bytes"],
  ["quota_objects", "Objects stored", count, "--objects"],
  ["requests_per_second", "Requests a second", count, "--requests-per-second"],
  ["concurrent_requests", "Requests at the same time", count, "--concurrent-requests"],
  ["upload_bytes_per_second", "Bytes up a second", bytes, "--upload-bytes-per-second"],
  ["download_bytes_per_second", "Bytes down a second", bytes, "--download-bytes-per-second"],
];

function quota(label, used, most, shown) {
  if (most === null || most === undefined) return `${shown(used)}, no quota`;
  return bar(label, [["used", used, used > most ? "over" : "used", `${shown(used)} of ${shown(most)}`]], most);
}

async function edit(limits, again) {
  const inputs = LIMITS.map(([member, label]) => {
    const now = limits[member];
    const input = h("input", { name: member, autocomplete: "off", value: now === null ? "default" : String(now) });
    return { member, input, element: field(label, input) };
  });
  const value_of = (text) => {
    const word = text.trim().toLowerCase();
    if (word === "" || word === "default") return null;
    if (word === "unlimited") return "unlimited";
    return amount(word);
  };
  const json = () => Object.fromEntries(inputs.map(({ member, input }) => [member, value_of(input.value)]));
  const where = `/v1/admin/limits/${encodeURIComponent(limits.tenant)}`;
  const done = await ask(`Limits of ${limits.tenant}`, {
    action: "Save",
    body: [h("p", { class: "muted" }, "A number (of bytes also such as 10 GiB), unlimited, or default."), inputs.map(({ element }) => element)],
    submit: () => {
      const bad = Object.entries(json()).find(([, value]) => Number.isNaN(value));
      if (bad) throw new Error(`${bad[0]} is no number`);
      return call("PUT", where, { json: json() });
    },
    lines: () => [["API", curl("PUT", where, { json: json() })],
      ["Command line", juststorage("limits", "set", limits.tenant, ...LIMITS.flatMap(([member, , , flag]) => [flag, String(json()[member] ?? "default")]))]],
  });
  if (done) {
    say("In force within a second, on every server.");
    again();
  }
}

function new_tenant(again) {
  const tenant = h("input", { name: "tenant", required: true, autocomplete: "off", spellcheck: "false" });
  return ask("Limits of a tenant", {
    action: "Continue", body: field("Tenant", tenant), submit: () => get(`/v1/admin/limits/${encodeURIComponent(tenant.value)}`),
  }).then((limits) => limits && edit(limits, again));
}

/** The page. */
export async function show() {
  const list = pages(async (cursor, again) => {
    const page = await get(`/v1/admin/limits${query({ cursor })}`);
    const rate = ({ effective }) => {
      const held = LIMITS.slice(2).filter(([member]) => effective[member] !== null);
      return held.length ? h("ul", { class: "plain" }, held.map(([member, label, shown]) => h("li", {}, `${label}: ${shown(effective[member])}`))) : "no limit";
    };
    const content = [table("Limits", [
      ["Tenant", (one) => foreign(one.tenant)],
      ["Bytes", (one) => quota(`Bytes of ${one.tenant}`, one.use.bytes, one.effective.quota_bytes, bytes)],
      ["Objects", (one) => quota(`Objects of ${one.tenant}`, one.use.objects, one.effective.quota_objects, count)],
      ["Rates", rate],
      may("operate") && ["", (one) => button("Change", () => edit(one, again), { class: "small", "aria-label": `Change limits of ${one.tenant}` })],
    ].filter(Boolean), page.limits, "No tenant has limits or keeps anything."),
    h("p", { class: "muted" }, "By default: ", LIMITS.map(([member, label, shown]) => `${label.toLowerCase()} ${page.defaults[member] === null ? "unlimited" : shown(page.defaults[member])}`).join(", "), ".")];
    return { content, next: page.next_cursor };
  });
  return {
    title: "Limits",
    content: [
      h("div", { class: "bar" }, h("h1", {}, "Limits"), may("operate") && button("Another tenant", () => new_tenant(list.again))),
      list.place,
      same([["API", curl("GET", "/v1/admin/limits")], ["Command line", juststorage("limits", "list")]]),
    ],
  };
}
