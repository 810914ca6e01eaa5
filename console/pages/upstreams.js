// Spaces that leave another store: all of them, or one.

import { get, query } from "../lib/api.js";
import { foreign, h } from "../lib/dom.js";
import { bytes, count, from_now, plural, when } from "../lib/format.js";
import { curl, juststorage } from "../lib/shell.js";
import { button, pages, same, table } from "../lib/ui.js";
import { bind } from "./binding.js";
import * as leaving from "./leaving.js";
import { link } from "./spaces.js";

function pass_of(pass, says) {
  if (!pass) return "–";
  const state = pass.finished_at ? ["done ", h("span", { title: when(pass.finished_at) }, from_now(pass.finished_at))] : "under way";
  return [says(pass.report), h("br"), h("span", { class: "muted" }, state)];
}

function compared(pass) {
  return pass_of(pass, (report) => [`${count(report.matched)} match, `,
    h("span", { class: `tag ${report.found ? "bad" : "good"}` }, plural(report.found, "finding"))]);
}

function mirrored({ mirror }) {
  if (!mirror) return "–";
  return [h("span", { class: `tag ${leaving.late(mirror) ? "bad" : "good"}` }, `${mirror.lag_seconds} s`), ` ${plural(mirror.waiting, "key")} to send`];
}

/** The page. */
export async function show(parts) {
  if (parts.length === 2) return leaving.show(parts);
  const { place, again } = pages(async (cursor) => {
    const { upstreams, next_cursor: next } = await get(`/v1/admin/upstreams${query({ cursor })}`);
    const content = table("Upstreams", [
      ["Space", (one) => h("a", { href: link(["upstreams", one.namespace, one.tenant]) }, foreign(leaving.space_of(one)))],
      ["Mode", (one) => h("span", { class: "tag" }, one.mode)],
      ["Upstream", (one) => foreign(leaving.upstream_of(one))],
      ["Backfill", (one) => pass_of(one.backfill, (report) => `${count(report.fetched)} fetched, ${bytes(report.bytes)}`)],
      ["Comparison", (one) => compared(one.verify)],
      ["Mirror", mirrored],
    ], upstreams, "No space has an upstream.");
    return { content, next };
  });
  return {
    title: "Upstreams",
    content: [
      h("div", { class: "bar" }, h("h1", {}, "Upstreams"), button("Refresh", again), button("Bind a space", () => bind(null, again), { class: "primary" })),
      h("p", { class: "muted" }, "A bucket of another S3 store moves here while it is used: read through, mirrored back, fetched, compared, and left."),
      h("section", { class: "card", "aria-label": "Spaces with an upstream" }, place),
      same([["API", curl("GET", "/v1/admin/upstreams")], ["Command line", juststorage("upstream", "status")]]),
    ],
  };
}
