// Deleting, each time with a look at what goes.

import { call, get, query } from "../lib/api.js";
import { foreign, h, put } from "../lib/dom.js";
import { bytes, plural } from "../lib/format.js";
import { aws, curl } from "../lib/shell.js";
import { ask, say, tick } from "../lib/ui.js";

const AT_ONCE = 8;
const COUNTED_MAX = 100_000;

/** Deletes each by `work`, a few at a time; says how far it is. Throws the first refusal, after all that began ended. */
async function each(items, work, progress) {
  let done = 0;
  let refused = null;
  const waiting = [...items];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let item = waiting.shift(); item !== undefined && !refused; item = waiting.shift()) {
      try {
        await work(item);
        done += 1;
        progress(done);
      } catch (error) {
        if (error.status !== 404) refused = error;
      }
    }
  }));
  if (refused) throw new Error(`${plural(done, "object")} deleted, then: ${refused.message}`);
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
    submit: () => each(objects, (object) => remove(object), (count) => put(progress, `${plural(count, "object")} deleted`)),
    lines: () => [["API", objects.slice(0, 3).map((object) => curl("DELETE", object.key === null ? by_id(object) : by_key(object))).join("\n")],
      objects[0].key !== null && ["S3", aws("s3", "rm", `s3://${namespace}/${objects[0].key}`)]],
  });
  if (done) say(`${plural(done, "object")} deleted.`);
  again();
}

async function* below({ namespace, tenant, prefix }, versions) {
  let cursor = null;
  do {
    const page = await get(`/v1/objects${query({ namespace, tenant, prefix, versions: versions || null, limit: 1000, cursor })}`);
    yield page.objects;
    cursor = page.next_cursor;
  } while (cursor);
}

/** Deletes every key below a prefix, after counting them. */
export async function remove_prefix(address, again) {
  const { namespace, prefix } = address;
  const counted = h("p", { role: "status" }, "Counting…");
  const sample = h("ul", { class: "plain" });
  const sure = tick("I have read how many", { required: true });
  let stop = false;
  const count = async () => {
    let objects = 0;
    let sum = 0;
    for await (const page of below(address)) {
      if (stop) return;
      if (!objects) put(sample, page.slice(0, 5).map((object) => h("li", {}, foreign(object.key))));
      objects += page.length;
      sum += whole(page);
      put(counted, h("b", {}, `${plural(objects, "object")} with ${bytes(sum)}`), " below ", foreign(prefix), objects >= COUNTED_MAX ? " and more." : " so far…");
      if (objects >= COUNTED_MAX) return;
    }
    put(counted, h("b", {}, `${plural(objects, "object")} with ${bytes(sum)}`), " below ", foreign(prefix), " will be deleted.");
  };
  const counting = count();
  const done = await ask("Delete all below a prefix", {
    action: "Delete them all", danger: true,
    body: [counted, sample, h("p", { class: "muted" }, "Where the space keeps versions, they stay and can be restored."), sure.element],
    submit: async () => {
      stop = true;
      await counting;
      let before = 0;
      for await (const page of below(address)) {
        before += await each(page, (object) => remove(object), (now) => put(counted, `${plural(before + now, "object")} deleted`));
      }
      return before || true;
    },
    lines: () => [["S3", aws("s3", "rm", "--recursive", `s3://${namespace}/${prefix}`)],
      ["API, each key", curl("DELETE", `/v1/objects/by-key/${[namespace, address.tenant].join("/")}/KEY`)]],
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
