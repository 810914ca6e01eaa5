// One space: its keys by prefixes, and what can be done with several of them.

import { get, may, query, session } from "../lib/api.js";
import { foreign, h, put } from "../lib/dom.js";
import { of_drop, of_input } from "../lib/dropped.js";
import { bytes, count, plural, when } from "../lib/format.js";
import { aws, curl } from "../lib/shell.js";
import { button, field, go, pages, same, say, table, tick } from "../lib/ui.js";
import { give } from "../lib/uploads.js";
import { remove_keys, remove_prefix } from "./removal.js";
import { link, space_of } from "./spaces.js";
import { place_of } from "./versions.js";

/** Keys of one page, and of one look while a text is searched inside keys. */
const PAGE = 100;
const LOOK = 1000;
const FOUND_MAX = 100;

/** The part of a key that a page of its prefix shows. */
export function short(key, prefix) {
  return key.startsWith(prefix) ? key.slice(prefix.length) : key;
}

function crumbs(namespace, tenant, prefix) {
  const steps = prefix.split("/").slice(0, -1);
  let so_far = "";
  const links = steps.map((step) => {
    so_far += `${step}/`;
    return [" / ", h("a", { href: link(["browse", namespace, tenant], { prefix: so_far }) }, foreign(step || "(empty)"))];
  });
  return h("nav", { "aria-label": "Prefixes", class: "crumbs" }, h("a", { href: "#/browse" }, "Spaces"), " / ",
    h("a", { href: link(["browse", namespace, tenant]) }, foreign(`${namespace}/${tenant}`)), links);
}

// Looks through pages of keys until enough contain the text: the server has no index of what is inside of keys.
async function look(address, text, cursor) {
  const objects = [];
  let looked = 0;
  let next = cursor;
  do {
    const page = await get(`/v1/objects${query({ ...address, limit: LOOK, cursor: next })}`);
    looked += page.objects.length;
    objects.push(...page.objects.filter((object) => (object.key ?? object.id).includes(text)));
    next = page.next_cursor;
  } while (next && objects.length < FOUND_MAX && looked < 50 * LOOK);
  return { objects, prefixes: [], next_cursor: next, looked };
}

function listing(address, find, inside, chosen, update) {
  const { namespace, tenant, prefix } = address;
  return pages(async (cursor) => {
    chosen.clear();
    update();
    const page = inside && find ? await look(address, find, cursor)
      : await get(`/v1/objects${query({ namespace, tenant, prefix: prefix + find, delimiter: "/", limit: PAGE, cursor })}`);
    const rows = [...page.prefixes.map((name) => ({ prefix: name })), ...page.objects];
    const mark = (row) => h("input", { type: "checkbox", "aria-label": `Choose ${row.prefix ?? row.key ?? row.id}`, onchange: (event) => {
      if (event.target.checked) chosen.add(row);
      else chosen.delete(row);
      update();
    } });
    const content = table("Objects", [
      may("delete") && ["Choose", mark, "mark"],
      ["Name", (row) => row.prefix !== undefined
        ? h("a", { class: "folder", href: link(["browse", namespace, tenant], { prefix: row.prefix }) }, foreign(short(row.prefix, prefix) || "/"))
        : h("a", { href: place_of(row) }, row.key === null ? h("code", {}, row.id) : foreign(inside ? row.key : short(row.key, prefix)))],
      ["Size", (row) => row.prefix === undefined && bytes(row.size_bytes), "number"],
      ["Type", (row) => row.prefix === undefined && foreign(row.content_type)],
      ["Class", (row) => row.storage_class],
      ["Written", (row) => row.created_at && when(row.created_at)],
    ].filter(Boolean), rows, find ? "Nothing matches." : "No object here yet.");
    const looked = page.looked !== undefined && h("p", { class: "muted" }, `${plural(page.objects.length, "match", "matches")} among ${plural(page.looked, "key")}.`);
    return { content: [looked, content], next: page.next_cursor };
  });
}

function upload_area({ namespace, tenant, prefix }) {
  const replace = tick("Replace objects of the same name");
  const send = (files) => {
    if (!files.length) return;
    give(files, { namespace, tenant, prefix, replace: replace.box.checked });
    say(`${plural(files.length, "file")} to upload.`);
  };
  const input = (label, props) => {
    const control = h("input", { type: "file", multiple: true, hidden: true, ...props });
    control.addEventListener("change", () => {
      send(of_input(control));
      control.value = "";
    });
    return [control, button(label, () => control.click())];
  };
  const area = h("section", { class: "drop", "aria-label": "Upload" },
    h("p", {}, "Drop files or folders here, or"),
    h("div", { class: "row" }, input("Choose files", { name: "files" }), input("Choose a folder", { name: "folder", webkitdirectory: true }), replace.element));
  const over = (event) => {
    event.preventDefault();
    area.classList.toggle("over", event.type === "dragover");
  };
  area.addEventListener("dragover", over);
  area.addEventListener("dragleave", over);
  area.addEventListener("drop", async (event) => {
    over(event);
    send(await of_drop(event.dataTransfer));
  });
  return area;
}

/** The page. */
export async function show([namespace, tenant], params) {
  // Where the caller is bound to prefixes, there is nothing to see above them.
  const prefix = params.get("prefix") ?? session.who.prefixes?.[0] ?? "";
  const find = params.get("find") ?? "";
  const inside = params.get("inside") === "1";
  const address = { namespace, tenant, prefix };
  const chosen = new Set();
  const actions = h("div", { class: "row chosen" });
  let list;
  const again = () => list.again();
  const update = () => {
    const keys = [...chosen].filter((row) => row.prefix === undefined);
    const prefixes = [...chosen].filter((row) => row.prefix !== undefined);
    put(actions, h("span", { class: "muted" }, chosen.size ? `${count(chosen.size)} chosen` : "Choose objects to delete them."),
      keys.length > 0 && prefixes.length === 0 && button(`Delete ${plural(keys.length, "object")}`, () => remove_keys(keys, address, again), { class: "danger" }),
      prefixes.length === 1 && keys.length === 0 && button("Delete all below the prefix", () => remove_prefix({ ...address, prefix: prefixes[0].prefix }, again), { class: "danger" }),
      prefixes.length > 0 && chosen.size > 1 && h("span", { class: "muted" }, "Choose one prefix, or objects."));
  };
  list = listing(address, find, inside, chosen, update);
  // Where the bucket has another name than the space, its S3 lines must use that name.
  const space = await space_of(namespace, tenant);
  const bucket = space ? space.buckets[0] : namespace;
  const text = h("input", { type: "search", name: "find", value: find, autocomplete: "off", spellcheck: "false" });
  const deep = tick("inside the key, in all prefixes below", { checked: inside, name: "inside" });
  const uploaded = (event) => {
    if (!list.place.isConnected) removeEventListener("uploaded", uploaded);
    else if (event.detail.namespace === namespace && event.detail.tenant === tenant && event.detail.key.startsWith(prefix)) again();
  };
  addEventListener("uploaded", uploaded);
  return {
    title: `${namespace}/${prefix}`,
    content: [
      crumbs(namespace, tenant, prefix),
      h("div", { class: "bar" }, h("h1", {}, foreign(prefix ? prefix.split("/").at(-2) : namespace)),
        space && go("Settings", link(["lifecycle", namespace, tenant])),
        button("Refresh", again)),
      h("form", { class: "row", role: "search", onsubmit: (event) => {
        event.preventDefault();
        location.hash = link(["browse", namespace, tenant], { prefix, find: text.value, inside: deep.box.checked ? "1" : null });
      } }, field("Find keys that begin with", text), deep.element, h("button", { type: "submit" }, "Find"),
        find && go("Show all", link(["browse", namespace, tenant], { prefix }))),
      may("delete") && actions,
      list.place,
      may("write") && upload_area(address),
      same([
        ["API: list", curl("GET", `/v1/objects${query({ namespace, tenant, prefix, delimiter: "/" })}`)],
        ["API: upload", curl("PUT", `/v1/objects/by-key/${namespace}/${tenant}/${prefix.split("/").map(encodeURIComponent).join("/")}FILE`, { data: "FILE" }).replace("-X PUT ", "")],
        bucket && ["S3: list", aws("s3", "ls", `s3://${bucket}/${prefix}`)],
        bucket && ["S3: upload", aws("s3", "cp", "--recursive", "FOLDER", `s3://${bucket}/${prefix}`)],
      ]),
    ],
  };
}
