// "May X do Y on Z?", as the server would decide it now.

import { get, may, query, session } from "../lib/api.js";
import { foreign, h, put } from "../lib/dom.js";
import { curl } from "../lib/shell.js";
import { choice, facts, field, same_as, wrong } from "../lib/ui.js";

const ACTIONS = ["GetObject", "PutObject", "DeleteObject", "GetObjectVersion", "DeleteObjectVersion", "GetObjectTagging", "PutObjectTagging", "ListBucket", "ListBucketVersions",
  "GetBucketPolicy", "PutBucketPolicy", "PutLifecycleConfiguration", "PutBucketVersioning", "PutBucketCORS", "DeleteBucket"];

async function principals() {
  const own = [["me", "me"], ["anonymous", "any caller, without a credential"]];
  if (!may("administer") && !may("operate")) return own;
  const page = await get("/v1/admin/credentials?state=valid&limit=1000");
  return [...own, ...page.credentials.map((one) => [one.id, `${one.description || one.access_key || one.id} (${one.kind}, ${one.tenant})`])];
}

/** The form and its answer. */
export function can(params) {
  const who = choice([["me", "me"]], "me", { name: "principal" });
  principals().then((all) => {
    const before = params.get("principal") ?? who.value;
    put(who, all.map(([value, label]) => h("option", { value }, label)));
    who.value = all.some(([value]) => value === before) ? before : "me";
  }).catch(() => {
    // Without the list, the caller's own case can still be asked.
  });
  const action = choice(ACTIONS.map((name) => [name, name]), "GetObject", { name: "action" });
  const resource = h("input", { name: "resource", required: true, autocomplete: "off", spellcheck: "false", value: params.get("resource") ?? "" });
  const answer = h("div", { role: "status" });
  const where = () => `/v1/admin/can${query({ principal: who.value, action: `s3:${action.value}`, resource: resource.value })}`;
  const form = h("form", { class: "card", onsubmit: async (event) => {
    event.preventDefault();
    try {
      const said = await get(where());
      put(answer, h("p", { class: "big" }, said.allowed ? "Yes" : "No"), h("p", {}, foreign(said.text)), facts([
        said.allowed ? ["By", said.by] : ["Because of", said.because],
        said.right && ["The right it takes", said.right],
        said.space && ["Space", foreign(`${said.space.namespace}/${said.space.tenant}`)],
      ]));
    } catch (error) {
      put(answer, wrong(error));
    }
  } }, h("h2", {}, "May X do Y on Z?"), field("X: who", who), field("Y: does what", action),
    field("Z: on what", resource, `arn:aws:s3:::BUCKET/KEY, or NAMESPACE/TENANT/KEY; without a key where the action is about the bucket. Yours: NAMESPACE/${session.who.tenant ?? "default"}/KEY`),
    h("div", { class: "row" }, h("button", { type: "submit", class: "primary" }, "Ask")), answer);
  return [form, same_as(form, () => [["API", curl("GET", where())]])];
}
