// Targets that are told of events, and how late that is.

import { call, get } from "../lib/api.js";
import { foreign, h } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { curl, juststorage } from "../lib/shell.js";
import { ask, button, choice, field, part, same, say, table, tick } from "../lib/ui.js";

const path_of = (one) => `/v1/admin/targets/${encodeURIComponent(one.name)}`;

/** What a later declaration has to say again, as all but the secret falls back to its default. */
const KEPT = ["kind", "url", "format", "subject", "taken_by", "tenants", "allow_private", "allow_networks", "timeout_seconds", "concurrency", "rows_max", "overflow", "keep_seconds", "paused"];
const kept = (one) => Object.fromEntries(KEPT.filter((name) => one[name] !== undefined && one[name] !== null).map((name) => [name, one[name]]));

async function declare(again) {
  const input = (name, props = {}) => h("input", { name, autocomplete: "off", spellcheck: "false", ...props });
  const name = input("name", { required: true });
  const url = input("url", { required: true });
  const secret = input("secret", { type: "password" });
  const format = choice([["s3", "S3's event message"], ["cloudevents", "CloudEvents 1.0"]], "s3", { name: "format" });
  const private_ones = tick("Private and loopback addresses are reached");
  const where = () => path_of({ name: name.value || "NAME" });
  const json = (key) => ({ kind: "webhook", url: url.value, format: format.value, allow_private: private_ones.box.checked, ...(key ? { secret: key } : {}) });
  const made = await ask("Declare an event target", {
    action: "Declare",
    body: [field("Name", name, "buckets name it by its ARN"), field("URL", url, "https://…, or http://… inside of a network that you trust"),
      field("Secret", secret, "16 bytes or more: events are signed with it; empty: not signed"), field("Format", format), private_ones.element],
    submit: () => call("PUT", where(), { json: json(secret.value) }),
    lines: () => [["API", curl("PUT", where(), { json: json(secret.value && "SECRET") })],
      ["Command line", juststorage("events", "set", name.value || "NAME", "--endpoint", url.value || "URL", "--format", format.value, private_ones.box.checked && "--allow-private", secret.value && "--secret-file", secret.value && "target.secret")]],
  });
  if (made) {
    say(`Buckets name it as ${made.arn}`);
    await again();
  }
}

async function pause(one, again) {
  const { paused } = await call("PUT", path_of(one), { json: { ...kept(one), paused: !one.paused } });
  say(paused ? `Events for ${one.name} wait.` : `Events for ${one.name} are delivered.`);
  await again();
}

async function test(one) {
  const { delivered, error } = await call("POST", `${path_of(one)}/test`);
  say(delivered ? `${one.name} took a test event.` : `${one.name} did not take it: ${error}`, delivered ? "done" : "wrong");
}

async function replay(one, again) {
  const length = choice([["900", "15 minutes"], ["3600", "1 hour"], ["86400", "1 day"]], "900", { name: "from" });
  const json = () => ({ from_time: new Date(Date.now() - Number(length.value) * 1000).toISOString() });
  const done = await ask(`Tell ${one.name} again`, {
    action: "Replay",
    body: [h("p", {}, `Events that were delivered are kept for ${count(one.keep_seconds)} s, and come again with the ids that they had.`), field("Of the last", length)],
    submit: () => call("POST", `${path_of(one)}/replay`, { json: json() }),
    lines: () => [["API", curl("POST", `${path_of(one)}/replay`, { json: json() })], ["Command line", juststorage("events", "replay", one.name, "--from-time", json().from_time)]],
  });
  if (done) {
    say(`${count(done.replayed)} events wait again.`);
    await again();
  }
}

async function remove(one, again) {
  const discard = tick("Although events wait for it: they are discarded");
  const where = () => `${path_of(one)}${discard.box.checked ? "?discard=true" : ""}`;
  const done = await ask(`Remove ${one.name}`, {
    action: "Remove", danger: true,
    body: [h("p", {}, one.spaces.length > 0 ? ["Spaces name it: ", foreign(one.spaces.join(", "))] : "No space names it."), discard.element],
    submit: () => call("DELETE", where()),
    lines: () => [["API", curl("DELETE", where())], ["Command line", juststorage("events", "remove", one.name, discard.box.checked && "--discard")]],
  });
  if (done) {
    say(`${one.name} is gone.`);
    await again();
  }
}

/** Every target. */
export function targets() {
  return part(async (again) => {
    const { targets: all } = await get("/v1/admin/targets");
    const late = (one) => (one.lag_seconds >= 300 ? "tag bad" : "tag good");
    const small = (label, does) => (one) => button(label, () => does(one, again), { class: "small", "aria-label": `${label} ${one.name}` });
    return [
      h("div", { class: "row" }, button("Declare a target", () => declare(again))),
      table("Event targets", [
        ["Target", (one) => [h("b", {}, foreign(one.name)), h("br"), h("span", { class: "muted" }, foreign(one.url))]],
        ["Waiting", (one) => count(one.waiting), "number"],
        ["Lag", (one) => h("span", { class: late(one) }, one.paused ? "paused" : `${Math.round(one.lag_seconds)} s`)],
        ["Failing", (one) => (one.last_error ? foreign(one.last_error) : "–")],
        ["Spaces", (one) => count(one.spaces.length), "number"],
        ["", (one) => h("span", { class: "row end" }, small("Test", test)(one), small(one.paused ? "Resume" : "Pause", pause)(one), small("Replay", replay)(one), small("Remove", remove)(one))],
      ], all, "No target is declared."),
      same([["API", curl("GET", "/v1/admin/targets")], ["Command line", juststorage("events", "status")]]),
    ];
  }).place;
}
