// Who changed what, and who was refused: the last requests that this server remembers.

import { get, query } from "../lib/api.js";
import { foreign, h } from "../lib/dom.js";
import { count, when } from "../lib/format.js";
import { curl } from "../lib/shell.js";
import { button, filter, pages, same, table } from "../lib/ui.js";
import { link } from "./spaces.js";

const KINDS = { done: "good", denied: "bad", failed: "warn", unknown: "warn" };

/** The page. */
export async function show(parts, params) {
  const result = params.get("result") ?? "";
  const list = pages(async (cursor) => {
    const page = await get(`/v1/admin/events${query({ result, cursor })}`);
    const content = [table("Events", [
      ["When", (event) => when(event.at)],
      ["Result", (event) => [h("span", { class: `tag ${KINDS[event.result] ?? ""}` }, event.result), ` ${event.status}`, event.denied && [" ", foreign(event.denied)]]],
      ["Who", (event) => event.principal ? h("code", {}, foreign(event.principal)) : "unknown"],
      ["Tenant", (event) => event.tenant ? foreign(event.tenant) : "–"],
      ["From", (event) => event.from ? foreign(event.from) : "–"],
      ["What", (event) => [h("b", {}, event.operation ? foreign(event.operation) : event.method), " ", h("code", {}, foreign(event.path))]],
      ["Request", (event) => h("code", {}, foreign(event.request_id))],
    ], page.events, "No such request."),
    h("p", { class: "muted" }, `This server keeps its last ${count(page.kept)} in memory and has dropped ${count(page.lost)}; the log with the target audit has all.`)];
    return { content, next: page.next_cursor };
  });
  const choose = filter("Show", [["", "Everything"], ["done", "Done"], ["denied", "Denied"], ["failed", "Failed"], ["unknown", "Unknown"]], result,
    (kind) => { location.hash = link(["audit"], { result: kind }); });
  return {
    title: "Audit",
    content: [
      h("div", { class: "bar" }, h("h1", {}, "Audit"), button("Refresh", list.again)),
      choose, list.place,
      same([["API", curl("GET", `/v1/admin/events${query({ result })}`)]]),
    ],
  };
}
