// What holds one version: its retention, and a legal hold.

import { call, get, may } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { when } from "../lib/format.js";
import { aws, curl } from "../lib/shell.js";
import { ask, button, choice, facts, field, same, say, tick } from "../lib/ui.js";

const DAY = 86_400_000;

async function retain(object, where, now, bucket, again) {
  const mode = choice([["", "none"], ["governance", "governance: an administrator may end it"], ["compliance", "compliance: no one may end it"]], now?.mode ?? "governance", { name: "mode" });
  const until = h("input", { type: "date", name: "until", value: new Date(now ? Date.parse(now.until) : Date.now() + 30 * DAY).toISOString().slice(0, 10) });
  const bypass = tick("End or shorten a governance retention", { name: "bypass" });
  const retention = () => (mode.value ? { mode: mode.value, until: `${until.value}T00:00:00Z` } : null);
  const json = () => ({ retention: retention(), ...(bypass.box.checked ? { bypass_governance: true } : {}) });
  const s3 = () => (mode.value ? `Mode=${mode.value.toUpperCase()},RetainUntilDate=${retention().until}` : "{}");
  const done = await ask("Retention", {
    action: "Save",
    body: [h("p", {}, "Until its end this version cannot be deleted."), field("Mode", mode), field("Until the beginning of", until, "In UTC."),
      now && may("administer") && bypass.element],
    submit: () => call("PUT", where, { json: json(), tenant: object.tenant_id }),
    lines: () => [["API", curl("PUT", where, { json: json(), headers: { "X-Tenant": object.tenant_id } })],
      ["S3", bucket && aws("s3api", "put-object-retention", "--bucket", bucket, "--key", object.key, "--version-id", object.id, "--retention", s3(),
        bypass.box.checked && "--bypass-governance-retention")]],
  });
  if (done) {
    say(retention() ? "The version is held." : "The retention is gone.");
    again();
  }
}

async function hold(object, where, on, again) {
  await call("PUT", where, { json: { legal_hold: on }, tenant: object.tenant_id });
  say(on ? "The legal hold is on." : "The legal hold is off.");
  await again();
}

/** What holds `object`, and how to change it. */
export async function lock(object, bucket, again) {
  const where = `/v1/objects/${object.id}/lock`;
  const { retention, legal_hold: held } = await get(where, { tenant: object.tenant_id });
  const over = retention && Date.parse(retention.until) <= Date.now();
  return [
    facts([
      ["Retention", retention ? `${retention.mode}, until ${when(retention.until)}${over ? ": run out" : ""}` : "none"],
      ["Legal hold", held ? "on" : "off"],
    ]),
    may("write") && h("div", { class: "row" },
      button("Change the retention", () => retain(object, where, retention, bucket, again)),
      button(held ? "Turn the legal hold off" : "Turn the legal hold on", () => hold(object, where, !held, again))),
    same([
      ["API", curl("GET", where, { headers: { "X-Tenant": object.tenant_id } })],
      ["API: legal hold", curl("PUT", where, { json: { legal_hold: !held }, headers: { "X-Tenant": object.tenant_id } })],
      ["S3: legal hold", bucket && aws("s3api", "put-object-legal-hold", "--bucket", bucket, "--key", object.key, "--version-id", object.id, "--legal-hold", `Status=${held ? "OFF" : "ON"}`)],
    ]),
  ];
}
