// A new credential: its rights in one screen, its secret once.

import { call, may, s3_address, session } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { curl, juststorage, word } from "../lib/shell.js";
import { ask, choice, copyable, dialog, facts, field, tick } from "../lib/ui.js";

const RIGHTS = [["read", "read objects and list them"], ["write", "write objects and change them"], ["delete", "delete objects"], ["admin", "administer the tenant"]];
const OF_OPERATORS = [["operator", "administer the whole store"], ["metrics", "read /metrics"]];

/** Asks for one, makes it, and shows its secret. */
export async function new_credential(again) {
  const operates = may("operate");
  const description = h("input", { name: "description", autocomplete: "off", maxlength: 200 });
  const kind = choice([["api", "API token: the native API and this console"], ["s3", "S3: access key and secret key"]], "api", { name: "kind" });
  const tenant = h("input", { name: "tenant", value: session.who.tenant ?? "default", required: true, autocomplete: "off", spellcheck: "false" });
  const namespaces = h("input", { name: "namespaces", autocomplete: "off", spellcheck: "false" });
  const prefixes = h("textarea", { name: "prefixes", rows: 2, autocomplete: "off", spellcheck: "false" });
  const expires = choice([["", "never"], ["86400", "in 1 day"], ["2592000", "in 30 days"], ["7776000", "in 90 days"], ["31536000", "in a year"]], "7776000", { name: "expires" });
  const rights = [...RIGHTS, ...(operates ? OF_OPERATORS : [])].map(([name, label]) => ({ name, ...tick(label, { name, checked: name === "read" }) }));
  const chosen = () => rights.filter(({ box }) => box.checked).map(({ name }) => name);
  const spaces = () => namespaces.value.split(/[\s,]+/).filter(Boolean);
  const beginnings = () => prefixes.value.split("\n").filter(Boolean);
  const json = () => ({
    kind: kind.value, tenant: tenant.value, namespaces: spaces().length ? spaces() : null, prefixes: beginnings().length ? beginnings() : null, rights: chosen(), description: description.value,
    expires_in_seconds: expires.value ? Number(expires.value) : null,
  });
  const made = await ask("New credential", {
    action: "Create",
    body: [
      field("Description", description, "What it is for."), field("Kind", kind), operates && field("Tenant", tenant),
      field("Namespaces", namespaces, "Empty: all of the tenant. A prefix ends in *: models, team-*"),
      field("Prefixes of keys", prefixes, "Empty: all keys. One a line, such as reports/: it reads, writes, deletes and lists there, and nowhere else."),
      h("fieldset", {}, h("legend", {}, "It may"), rights.map(({ element }) => element)),
      field("It ends", expires),
    ],
    submit: () => {
      if (!chosen().length) throw new Error("choose at least one right");
      return call("POST", "/v1/admin/credentials", { json: json() });
    },
    lines: () => [
      ["API", curl("POST", "/v1/admin/credentials", { json: json() })],
      ["Command line", juststorage("key", "create", "--kind", kind.value, "--tenant", tenant.value, ...spaces().flatMap((name) => ["--namespace", name]), ...beginnings().flatMap((prefix) => ["--prefix", prefix]),
        "--rights", chosen().join(","), ...(expires.value ? ["--expires", `${expires.value}s`] : []), ...(description.value ? ["--description", description.value] : []))],
    ],
  });
  if (!made) return;
  await show_secret(made);
  again();
}

function of_api(made) {
  const prefix = (made.prefixes?.[0] ?? "").split("/").map(encodeURIComponent).join("/").replaceAll("'", "%27");
  const space = `${(made.namespaces?.[0] ?? "demo").replace("*", "")}/${made.tenant}/${prefix}`;
  return [["curl", [`export TOKEN=${word(made.token)}`, `curl -fsS -H "Authorization: Bearer $TOKEN" -T hello.txt ${location.origin}/v1/objects/by-key/${space}hello.txt`,
    `curl -fsS -H "Authorization: Bearer $TOKEN" ${location.origin}/v1/objects/by-key/${space}hello.txt`].join("\n")]];
}

/** Lines of clients of S3 for a credential. */
export function of_s3({ access_key: id, secret_key: secret, namespaces, prefixes }) {
  const place = s3_address();
  const region = session.who.s3?.region ?? "us-east-1";
  return [
    ["aws", [`export AWS_ACCESS_KEY_ID=${word(id)} AWS_SECRET_ACCESS_KEY=${word(secret)}`, `export AWS_REGION=${region} AWS_ENDPOINT_URL_S3=${place}`, prefixes ? `aws s3 ls ${word(`s3://${(namespaces?.[0] ?? "BUCKET").replace("*", "")}/${prefixes[0]}`)}` : "aws s3 ls"].join("\n")],
    ["boto3", ["import boto3", `s3 = boto3.client("s3", endpoint_url="${place}", region_name="${region}",`, `                  aws_access_key_id="${id}", aws_secret_access_key="${secret}")`].join("\n")],
    ["curl", [`curl --aws-sigv4 aws:amz:${region}:s3 --user ${word(`${id}:${secret}`)} \\`, `  -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' ${place}/`].join("\n")],
    ["rclone", ["[juststorage]", "type = s3", "provider = Other", `endpoint = ${place}`, `region = ${region}`, `access_key_id = ${id}`, `secret_access_key = ${secret}`].join("\n")],
  ];
}

/** Shows the secret of a credential that was just made. */
export function show_secret(made) {
  const lines = made.kind === "s3" ? of_s3(made) : of_api(made);
  return dialog("The credential is there", () => [
    h("p", { class: "note wrong" }, "Its secret is shown now, and never again."),
    made.kind === "s3" ? [facts([["Access key", h("code", {}, made.access_key)]]), copyable(made.secret_key, "Copy secret key")] : copyable(made.token, "Copy token"),
    h("h2", {}, "Use it"),
    tools(lines, 0),
  ]);
}

function tools(lines, open) {
  return lines.map(([name, text], index) => h("details", { open: index === open }, h("summary", {}, name), copyable(text)));
}

/** How to reach the server with any credential. */
export function connect() {
  const place = s3_address();
  return h("section", { class: "card", id: "connect" }, h("h2", {}, "Connect a client"),
    facts([["Native API", h("code", {}, location.origin)], place && ["S3", h("code", {}, place)], place && ["Region", session.who.s3.region]]),
    tools([["curl, native API", of_api({ token: "TOKEN", tenant: session.who.tenant })[0][1]],
      ...(place ? of_s3({ access_key: "ACCESS_KEY", secret_key: "SECRET_KEY" }) : []).map(([name, text]) => [`${name}, S3`, text])], -1));
}
