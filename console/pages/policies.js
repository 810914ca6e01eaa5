// The policy of one space, as its document.

import { call, get } from "../lib/api.js";
import { foreign, h } from "../lib/dom.js";
import { aws, curl } from "../lib/shell.js";
import { ask, button, field, same, say } from "../lib/ui.js";

const shape = (effect, principal, actions, resources) => ({ Version: "2012-10-17", Statement: [{ Effect: effect, Principal: principal, Action: actions, Resource: resources }] });

function examples(bucket) {
  return [
    ["Everybody may read", shape("Allow", "*", ["s3:GetObject"], [`arn:aws:s3:::${bucket}/*`])],
    ["Everybody may read below a prefix", shape("Allow", "*", ["s3:GetObject"], [`arn:aws:s3:::${bucket}/public/*`])],
    ["No one may delete", shape("Deny", "*", ["s3:DeleteObject", "s3:DeleteObjectVersion"], [`arn:aws:s3:::${bucket}/*`])],
  ];
}

/** The editor of one space's policy. */
export async function policy(namespace, tenant, again) {
  const where = `/v1/admin/spaces/${encodeURIComponent(namespace)}/${encodeURIComponent(tenant)}`;
  const space = await get(where);
  const [bucket] = space.buckets;
  const text = h("textarea", { name: "policy", rows: 18, spellcheck: "false", value: space.settings.policy ? JSON.stringify(space.settings.policy, null, 2) : "" });
  const save = async () => {
    let document;
    try {
      document = JSON.parse(text.value);
    } catch (error) {
      throw new Error(`this is not JSON: ${error.message}`);
    }
    await call("PUT", `${where}/policy`, { json: document });
    say("The policy holds now.");
    await again();
  };
  const remove = async () => {
    const done = await ask("Remove the policy", {
      action: "Remove", danger: true,
      body: h("p", {}, "Rights of credentials alone decide then."),
      submit: async () => {
        await call("DELETE", `${where}/policy`, { tenant });
        return true;
      },
      lines: () => [["API", curl("DELETE", `${where}/policy`)], ["S3", bucket && aws("s3api", "delete-bucket-policy", "--bucket", bucket)]],
    });
    if (done) await again();
  };
  return h("section", { class: "card" },
    h("h2", {}, "Policy of ", foreign(`${namespace}/${tenant}`)),
    !bucket && h("p", { class: "note" }, "No bucket names this space, so a policy has nothing to name. Create a bucket for it first."),
    bucket && h("div", { class: "row" }, h("span", { class: "muted" }, "Begin with:"), examples(bucket).map(([name, document]) => button(name, () => {
      text.value = JSON.stringify(document, null, 2);
      text.focus();
    }, { class: "small" }))),
    field("Policy document", text, "As in docs/policies.md: an explicit deny wins over everything."),
    h("div", { class: "row end" }, space.settings.policy && button("Remove", remove, { class: "danger" }), button("Save", save, { class: "primary" })),
    same([["API", curl("PUT", `${where}/policy`, { headers: { "Content-Type": "application/json" }, data: "policy.json" })],
      ["S3", bucket && aws("s3api", "put-bucket-policy", "--bucket", bucket, "--policy", "file://policy.json")]]));
}
