// Deleting, each time with a look at what goes.

import { call, get, query } from "../lib/api.js";
import { foreign, h, put } from "../lib/dom.js";
import { bytes, plural } from "../lib/format.js";
import { aws, curl } from "../lib/shell.js";
import { ask, say, tick } from "../lib/ui.js";

/** Entries of one call, as the API bounds them. */
const AT_ONCE = 1000;

/** Deletes these keys and ids, a thousand in a call; says how far it is. Throws the first refusal, after all were tried. */
async function remove_all(objects, progress) {
  const keys = new Map();
  const ids = [];
  for (const object of objects) {
    if (object.key === null) ids.push(object.id);
    else keys.set(object.key, object);
  }
  const { namespace, tenant_id: tenant } = objects[0];
  let done = 0;
  const refused = [];
  const send = async (json, entries, what) => {
    for (let at = 0; at < entries.length; at += AT_ONCE) {
      const answer = await call("POST", "/v1/objects/delete", { json: { ...json, [what]: entries.slice(at, at + AT_ONCE) }, tenant });
      done += answer.deleted + answer.not_found;
      refused.push(...answer.results.filter((result) => result.outcome === "refused"));
      progress(done);
    }
  };
  await send({ namespace, tenant }, [...keys.keys()], "keys");
  await send({}, ids, "ids");
  if (refused.length) throw new Error(`${plural(done, "object")} deleted; ${plural(refused.length, "object")} refused: ${refused[0].detail}`);
  return done;
}

const by_key = ({ namespace, tenant_id: tenant, key }) => `/v1/objects/by-key/${[namespace, tenant, key].map(encodeURIComponent).join("/")}`;
const by_id = (object) => `/v1/objects/${object.id}`;
const whole = (objects) => objects.reduce((sum, object) => sum + object.size_bytes, 0);

/** A key is deleted by key, so that a space that keeps versions keeps them. A path cannot end in `.` or `..`. */
function remove(object, for_good = false) {
  const keyless = object.key === null || object.key === "." || object.key === "..";
  return call("DELETE", keyless || for_good ? by_id(object) : by_key(object), { tenant: object.tenant_id });
}

function preview(objects) {
  return [
    h("p", {}, h("b", {}, plural(objects.length, "object")), ` with ${bytes(whole(objects))} will be deleted.`),
    h("ul", { class: "plain scroll", tabindex: 0, "aria-label": "What will be deleted" },
      objects.slice(0, 50).map((object) => h("li", {}, foreign(object.key ?? object.id), h("span", { class: "muted" }, ` ${bytes(object.size_bytes)}`))),
      objects.length > 50 && h("li", { class: "muted" }, `and ${plural(objects.length - 50, "more", "more")}`)),
    h("p", { class: "muted" }, "Where the space keeps versions, they stay and can be restored."),
  ];
}

/** Deletes keys that were chosen. */
export async function remove_keys(objects, { namespace }, again) {
  const progress = h("p", { role: "status" });
  const done = await ask("Delete", {
    action: `Delete ${plural(objects.length, "object")}`, danger: true,
    body: [preview(objects), progress],
    submit: () => remove_all(objects, (count) => put(progress, `${plural(count, "object")} deleted`)),
    lines: () => [["API", objects[0].key === null ? curl("POST", "/v1/objects/delete", { json: { ids: objects.map((object) => object.id) } })
      : curl("POST", "/v1/objects/delete", { json: { namespace, tenant: objects[0].tenant_id, keys: objects.map((object) => object.key).filter((key) => key !== null) } })],
      objects[0].key !== null && ["S3", aws("s3", "rm", `s3://${namespace}/${objects[0].key}`)]],
  });
  if (done) say(`${plural(done, "object")} deleted.`);
  again();
}

/** Every call for a prefix, until nothing is left: `each` gets the answer of each. */
async function below({ namespace, tenant, prefix }, more, each) {
  let cursor = null;
  do {
    const answer = await call("POST", "/v1/objects/delete", { json: { namespace, tenant, prefix, ...more, ...(cursor ? { cursor } : {}) }, tenant });
    if (!each(answer)) return;
    cursor = answer.next;
  } while (cursor);
}

/** Deletes every key below a prefix, after counting them. */
export async function remove_prefix(address, again) {
  const { namespace, tenant, prefix } = address;
  const counted = h("p", { role: "status" }, "Counting…");
  const sample = h("ul", { class: "plain" });
  const sure = tick("I have read how many", { required: true });
  let stop = false;
  const count = async () => {
    const first = await get(`/v1/objects${query({ namespace, tenant, prefix, limit: 5 })}`);
    put(sample, first.objects.map((object) => h("li", {}, foreign(object.key))));
    let [objects, sum, refused] = [0, 0, 0];
    await below(address, { dry_run: true }, (answer) => {
      objects += answer.deleted;
      sum += answer.bytes;
      refused += answer.refused;
      put(counted, h("b", {}, `${plural(objects, "object")} with ${bytes(sum)}`), " below ", foreign(prefix),
        answer.next ? " so far…" : " will be deleted.", refused > 0 && ` ${plural(refused, "object")} will be refused: object lock holds them, or a policy.`);
      return !stop;
    });
  };
  const counting = count();
  counting.catch((error) => put(counted, error.message));
  const json = { namespace, tenant, prefix };
  const done = await ask("Delete all below a prefix", {
    action: "Delete them all", danger: true,
    body: [counted, sample, h("p", { class: "muted" }, "Where the space keeps versions, they stay and can be restored."), sure.element],
    submit: async () => {
      stop = true;
      await counting.catch(() => {});
      let [gone, refused] = [0, []];
      await below(address, {}, (answer) => {
        gone += answer.deleted;
        refused = refused.concat(answer.results);
        put(counted, `${plural(gone, "object")} deleted`);
        return true;
      });
      if (refused.length) throw new Error(`${plural(gone, "object")} deleted; ${plural(refused.length, "object")} refused: ${refused[0].detail}`);
      return gone || true;
    },
    lines: () => [["API: look", curl("POST", "/v1/objects/delete", { json: { ...json, dry_run: true } })], ["API", curl("POST", "/v1/objects/delete", { json })],
      ["S3", aws("s3", "rm", "--recursive", `s3://${namespace}/${prefix}`)]],
  });
  stop = true;
  if (done) say(done === true ? "Nothing was there any more." : `${plural(done, "object")} deleted.`);
  again();
}

/** Deletes exactly this version. */
export async function delete_for_good(version, again) {
  const marker = version.is_delete_marker;
  const done = await ask(marker ? "Remove the delete marker" : "Delete this version for good", {
    action: marker ? "Remove" : "Delete for good", danger: true,
    body: [marker ? h("p", {}, "The version below it becomes the latest again.") : h("p", {}, h("b", {}, "1 version"), ` with ${bytes(version.size_bytes)} will be deleted. It cannot be restored.`)],
    submit: async () => {
      await remove(version, true);
      return true;
    },
    lines: () => [["API", curl("DELETE", by_id(version), { headers: { "X-Tenant": version.tenant_id } })]],
  });
  if (!done) return;
  say(marker ? "The marker is gone." : "The version is gone.");
  again();
}

/** Deletes the object of a page: its key where it is the latest, else exactly this version. */
export async function remove_version(object, space, away) {
  if (object.is_latest === false || object.key === null) return delete_for_good(object, away);
  const kept = space && space.versioning === "enabled";
  const done = await ask("Delete", {
    action: "Delete", danger: true,
    body: [h("p", {}, h("b", {}, "1 object"), ` with ${bytes(object.size_bytes)} will be deleted: `, foreign(object.key)),
      h("p", { class: "muted" }, kept ? "The space keeps versions: it can be restored." : "Where the space keeps versions, they stay and can be restored.")],
    submit: async () => {
      await remove(object);
      return true;
    },
    lines: () => [["API", curl("DELETE", by_key(object))], ["S3", aws("s3", "rm", `s3://${object.namespace}/${object.key}`)]],
  });
  if (!done) return undefined;
  say("Deleted.");
  return away();
}
