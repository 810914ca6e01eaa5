// How a space is bound to its upstream: bind, change, set the mode, leave, forget.

import { call, session } from "../lib/api.js";
import { foreign, h } from "../lib/dom.js";
import { amount } from "../lib/format.js";
import { curl, juststorage } from "../lib/shell.js";
import { ask, choice, field, say, tick } from "../lib/ui.js";

/** What each mode does. */
export const MODES = {
  observe: "this store alone answers; the upstream is surveyed",
  "read-through": "what is not here is read from the upstream, proved and kept; changes stay here",
  mirror: "as before, and every change goes to the upstream, too: the way back stays open",
  detached: "this store alone answers: everything is here",
};

const SETTABLE = Object.entries(MODES).filter(([mode]) => mode !== "detached").map(([mode, does]) => [mode, `${mode}: ${does}`]);

/** The path of a space's upstream. */
export const path_of = (one) => `/v1/admin/upstreams/${encodeURIComponent(one.namespace)}/${encodeURIComponent(one.tenant)}`;

/** The words that name a space to a command. */
export const named = (one) => ["--namespace", one.namespace || "NAMESPACE", "--tenant", one.tenant];

/** `[member, flag, label, hint, kind]` of what is set as text. */
const TEXTS = [
  ["endpoint", "--endpoint", "Endpoint", "http://host:port or https://host:port"],
  ["upstream_bucket", "--upstream-bucket", "Bucket there"],
  ["access_key", "--access-key", "Access key"],
];
const MORE = [
  ["prefix", "--prefix", "Prefix there", "what the keys there begin with: left out here"],
  ["region", "--upstream-region", "Region", "of the signatures; us-east-1 unless said otherwise"],
  ["requests_per_second", "--upstream-requests-per-second", "Requests a second of background work", "empty: as fast as it answers"],
  ["bytes_per_second", "--upstream-bytes-per-second", "Bytes a second of background work", "such as 50 MiB; empty: as fast as they come"],
  ["mirror_rows_max", "--mirror-rows-max", "Keys that may wait to be sent"],
];
const REQUIRED = new Set(["endpoint", "upstream_bucket", "access_key"]);
const NUMBERS = new Set(["requests_per_second", "bytes_per_second", "mirror_rows_max"]);

function value_of(member, text) {
  if (!NUMBERS.has(member)) return text;
  if (text.trim() !== "") return amount(text);
  return member === "mirror_rows_max" ? undefined : null;
}

/** Binds a space, or changes how `one` is bound; what stays is not sent. */
export async function bind(one, again) {
  const before = one ?? { namespace: "", tenant: session.who.tenant ?? "default", addressing: "path", mode: "observe", mirror_overflow: "drop", allow_private: false };
  const text = (member, props = {}) => h("input", { name: member, value: before[member] ?? "", autocomplete: "off", spellcheck: "false", ...props });
  const namespace = text("namespace", { required: true });
  const tenant = text("tenant", { required: true });
  const inputs = [...TEXTS, ...MORE].map(([member, flag, label, hint]) => {
    const input = text(member, { required: REQUIRED.has(member) });
    return { member, flag, input, element: field(label, input, hint) };
  });
  const secret = h("input", { name: "secret_key", type: "password", autocomplete: "off", required: !one });
  const addressing = choice([["path", "path: host/bucket"], ["virtual", "virtual: bucket.host"]], before.addressing, { name: "addressing" });
  const overflow = choice([["drop", "make the change, and make it good by a later pass"], ["refuse", "refuse the change with 503"]], before.mirror_overflow, { name: "mirror_overflow" });
  const mode = choice(SETTABLE, before.mode, { name: "mode" });
  const private_ones = tick("Its address may be private or loopback", { checked: before.allow_private });
  const space = () => ({ namespace: namespace.value, tenant: tenant.value });
  const all = () => {
    const said = inputs.map(({ member, input }) => [member, value_of(member, input.value)]);
    said.push(["addressing", addressing.value], ["mirror_overflow", overflow.value], ["allow_private", private_ones.box.checked]);
    if (!one) said.push(["mode", mode.value]);
    const stays = ([member, value]) => value === undefined || (one ? before[member] === value : value === null || value === "");
    return said.filter((entry) => !stays(entry));
  };
  const json = (key) => ({ ...Object.fromEntries(all()), ...(key ? { secret_key: key } : {}) });
  const command = () => {
    const flags = { addressing: "--addressing", mirror_overflow: "--mirror-overflow", allow_private: "--allow-private", mode: "--mode" };
    const words = all().flatMap(([member, value]) => [flags[member] ?? inputs.find((input) => input.member === member).flag, String(value ?? 0)]);
    return juststorage("upstream", "set", ...named(space()), ...words, ...(secret.value ? ["--secret-key-file", "old.secret"] : []));
  };
  const fields = (from, to) => inputs.slice(from, to).map(({ element }) => element);
  const done = await ask(one ? `Upstream of ${one.namespace}/${one.tenant}` : "Bind a space to an upstream", {
    action: one ? "Save" : "Bind",
    body: [
      !one && [field("Namespace", namespace, "The space is made if it does not exist. A bucket of this name shows it to S3."), field("Tenant", tenant)],
      fields(0, TEXTS.length),
      field("Secret key", secret, one && "empty: as before; needed for another endpoint or access key"),
      !one && field("Mode", mode), private_ones.element,
      h("details", {}, h("summary", {}, "More"), fields(TEXTS.length), field("How its bucket is named in requests", addressing), field("If more keys wait than may", overflow)),
    ],
    submit: () => {
      const bad = all().find(([, value]) => Number.isNaN(value));
      if (bad) throw new Error(`${bad[0]} is no number`);
      return call("PUT", path_of(space()), { json: json(secret.value) });
    },
    lines: () => [["API", curl("PUT", path_of(space()), { json: json(secret.value && "SECRET") })], ["Command line", command()]],
  });
  if (done) {
    say(`${done.namespace}/${done.tenant} is bound to its upstream.`);
    await again();
  }
}

/** Sets how far a space has left its upstream. */
export async function set_mode(one, again) {
  const mode = choice(SETTABLE, one.mode === "detached" ? "observe" : one.mode, { name: "mode" });
  const json = () => ({ mode: mode.value });
  const done = await ask(`Mode of ${one.namespace}/${one.tenant}`, {
    action: "Set",
    body: [field("Mode", mode), h("p", { class: "muted" }, "In read-through the upstream does not see what is written here: going back from there loses it. In mirror it does. Setting mirror again looks at all keys once more.")],
    submit: () => call("PUT", path_of(one), { json: json() }),
    lines: () => [["API", curl("PUT", path_of(one), { json: json() })], ["Command line", juststorage("upstream", "set", ...named(one), "--mode", mode.value)]],
  });
  if (done) {
    say(`The mode is ${done.mode}.`);
    await again();
  }
}

/** Leaves the upstream. */
export async function detach(one, again) {
  const where = `${path_of(one)}/detach`;
  const done = await ask(`Leave the upstream of ${one.namespace}/${one.tenant}`, {
    action: "Detach", danger: true,
    body: h("p", {}, "From then on this store alone answers. It takes a comparison without findings, made within the last hour after the last change of the binding, and nothing that waits to be sent."),
    submit: () => call("POST", where),
    lines: () => [["API", curl("POST", where)], ["Command line", juststorage("upstream", "detach", ...named(one))]],
  });
  if (done) {
    say("The space is detached.");
    await again();
  }
}

/** Forgets an upstream. */
export async function forget(one) {
  const done = await ask(`Forget the upstream of ${one.namespace}/${one.tenant}`, {
    action: "Forget", danger: true,
    body: h("p", {}, "Its credential, and all that is known of it, go. Nothing changes in ", foreign(`${one.endpoint} ${one.upstream_bucket}`), "."),
    submit: async () => {
      await call("DELETE", path_of(one));
      return true;
    },
    lines: () => [["API", curl("DELETE", path_of(one))], ["Command line", juststorage("upstream", "detach", "--forget", ...named(one))]],
  });
  if (done) {
    say("The upstream is forgotten.");
    location.hash = "#/upstreams";
  }
}
