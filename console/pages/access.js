// Credentials, policies, and who may do what.

import { call, get, manages, query, session } from "../lib/api.js";
import { foreign, h } from "../lib/dom.js";
import { from_now, when } from "../lib/format.js";
import { curl, juststorage } from "../lib/shell.js";
import { ask, button, choice, field, filter, go, pages, part, same, say, table } from "../lib/ui.js";
import { can } from "./can.js";
import { connect, new_credential, show_secret } from "./credential.js";
import { policy } from "./policies.js";
import { link } from "./spaces.js";

function state_of(credential) {
  if (credential.revoked_at) return h("span", { class: "tag bad" }, "revoked");
  if (!credential.expires_at) return h("span", { class: "tag good" }, "valid");
  const left = new Date(credential.expires_at) - Date.now();
  return h("span", { class: left < 0 ? "tag bad" : left < 14 * 86400e3 ? "tag warn" : "tag good", title: when(credential.expires_at) },
    left < 0 ? "expired" : `ends ${from_now(credential.expires_at)}`);
}

const name_of = (credential) => credential.description || credential.access_key || credential.id;

async function revoke(credential, again) {
  const own = credential.id === session.who.credential_id;
  const done = await ask("Revoke a credential", {
    action: "Revoke", danger: true,
    body: [h("p", {}, "Nothing can be done with ", h("b", {}, foreign(name_of(credential))), " any more, a second from now. URLs that it signed end, too."),
      own && h("p", { class: "note wrong" }, "It is the one that you are signed in with.")],
    submit: async () => {
      await call("DELETE", `/v1/admin/credentials/${credential.id}`, { tenant: credential.tenant });
      return true;
    },
    lines: () => [["API", curl("DELETE", `/v1/admin/credentials/${credential.id}`)], ["Command line", juststorage("key", "revoke", credential.id)]],
  });
  if (done) {
    say("Revoked.");
    again();
  }
}

async function rotate(credential, again) {
  const grace = choice([["0", "It ends at once"], ["3600", "1 hour"], ["86400", "1 day"], ["604800", "7 days"]], "3600", { name: "grace" });
  const json = () => ({ grace_seconds: Number(grace.value) });
  const made = await ask("Rotate a credential", {
    action: "Rotate",
    body: [h("p", {}, "A new one with the same rights takes its place: ", h("b", {}, foreign(name_of(credential)))), field("The old one stays valid for", grace)],
    submit: () => call("POST", `/v1/admin/credentials/${credential.id}/rotate`, { json: json() }),
    lines: () => [["API", curl("POST", `/v1/admin/credentials/${credential.id}/rotate`, { json: json() })],
      ["Command line", juststorage("key", "rotate", credential.id, ...(grace.value === "0" ? [] : ["--grace", `${grace.value}s`]))]],
  });
  if (made) {
    await show_secret(made);
    again();
  }
}

const asked = (state) => ({ all: {}, ending: { ending: true } }[state] ?? { state });

function credentials(state) {
  return pages(async (cursor, again) => {
    const page = await get(`/v1/admin/credentials${query({ ...asked(state), cursor })}`);
    const content = table("Credentials", [
      ["Description", (one) => one.description ? foreign(one.description) : h("span", { class: "muted" }, "none")],
      ["Kind", (one) => one.kind === "s3" ? ["s3 ", h("code", {}, foreign(one.access_key))] : "api"],
      ["Tenant", (one) => foreign(one.tenant)],
      ["Namespaces", (one) => one.namespaces ? foreign(one.namespaces.join(", ")) : "all"],
      ["Keys", (one) => one.prefixes ? foreign(one.prefixes.join(", ")) : "all"],
      ["Rights", (one) => one.rights.join(", ")],
      ["State", state_of],
      ["Made", (one) => when(one.created_at)],
      ["", (one) => !one.revoked_at && h("span", { class: "row end" },
        button("Rotate", () => rotate(one, again), { class: "small", "aria-label": `Rotate ${name_of(one)}` }),
        button("Revoke", () => revoke(one, again), { class: "small danger", "aria-label": `Revoke ${name_of(one)}` }))],
    ], page.credentials, "No credential.");
    return { content, next: page.next_cursor };
  });
}

/** The page. */
export async function show(parts, params) {
  const state = params.get("state") ?? "valid";
  const tabs = [["credentials", "Credentials", manages()], ["policies", "Policies", manages()], ["can", "Who may do what", true]].filter(([, , seen]) => seen);
  const current = tabs.find(([name]) => name === parts[0]) ?? tabs[0];
  const menu = h("nav", { class: "row", "aria-label": "Parts of this page" }, tabs.map(([name, label]) => h("a", { class: "button", href: link(["access", name]), "aria-current": name === current[0] && "page" }, label)));
  let content;
  if (current[0] === "credentials") {
    const list = credentials(state);
    const choose = filter("Show", [["valid", "Valid"], ["ending", "Valid, and end soon"], ["expired", "Expired"], ["revoked", "Revoked"], ["all", "All"]], state,
      (kind) => { location.hash = link(["access", "credentials"], { state: kind }); });
    content = [
      h("div", { class: "row" }, h("div", { class: "grow" }, choose),
        button("New credential", () => new_credential(() => list.again()), { class: "primary" })),
      list.place,
      same([["API", curl("GET", `/v1/admin/credentials${query(asked(state))}`)], ["Command line", juststorage("key", "list")]]),
      connect(),
    ];
  } else if (current[0] === "policies") {
    content = parts.length === 3 ? part((again) => policy(parts[1], parts[2], again)).place : choose_space();
  } else {
    content = can(params);
  }
  return { title: current[1], content: [h("h1", {}, "Access"), menu, content] };
}

function choose_space() {
  return pages(async (cursor) => {
    const page = await get(`/v1/admin/spaces${query({ cursor })}`);
    return { next: page.next_cursor, content: table("Spaces", [
      ["Space", (space) => foreign(`${space.namespace}/${space.tenant}`)],
      ["Buckets", (space) => space.buckets.join(", ") || "–"],
      ["", (space) => go("Policy", link(["access", "policies", space.namespace, space.tenant]), { class: "button small", "aria-label": `Policy of ${space.namespace}/${space.tenant}` })],
    ], page.spaces, "No space yet.") };
  }).place;
}
