// Items of background work that failed, and segments that are kept because they may hold bytes that nothing names.

import { call, get } from "../lib/api.js";
import { foreign, h } from "../lib/dom.js";
import { bytes, count, from_now, plural, when } from "../lib/format.js";
import { curl, juststorage } from "../lib/shell.js";
import { ask, button, part, same, say, table, tick } from "../lib/ui.js";

async function retry(what, again) {
  const { due } = await call("POST", "/v1/admin/stuck/retry", { json: what });
  say(`${plural(due, "item")} will be tried now.`);
  await again();
}

/** Why something is stuck. */
export function stuck() {
  return part(async (again) => {
    const page = await get("/v1/admin/stuck");
    return [
      page.stuck.length > 1 && button("Try all again", () => retry({ all: true }, again)),
      table("Stuck items", [
        ["Item", (one) => [h("b", {}, one.worker), " ", foreign(one.item)]],
        ["Why", (one) => foreign(one.error)],
        ["Failures", (one) => count(one.failures), "number"],
        ["Since", (one) => h("span", { title: when(one.since) }, from_now(one.since))],
        ["Next try", (one) => h("span", { title: when(one.next_at) }, from_now(one.next_at))],
        ["", (one) => button("Try now", () => retry({ item: one.item }, again), { class: "small", "aria-label": `Try now: ${one.item}` })],
      ], page.stuck, "Nothing is stuck."),
      page.more && h("p", { class: "muted" }, "There are more."),
    ];
  }).place;
}

async function give_up(segment, again) {
  const sure = tick("These bytes may go for good", { required: true });
  const json = { segment: segment.segment };
  const done = await ask("Give up a kept segment", {
    action: "Give up", danger: true,
    body: [h("p", {}, segment.error ? ["It cannot be read: ", foreign(segment.error)] : `${plural(segment.lost.length, "record")} would be lost, of ${segment.records}, ${bytes(segment.bytes)} in all.`),
      segment.lost?.length > 0 && h("ul", { class: "plain scroll", tabindex: 0, "aria-label": "What would be lost" }, segment.lost.map((one) => h("li", {}, h("code", {}, one.sha256), ` ${bytes(one.bytes)}`))),
      sure.element],
    submit: () => call("POST", "/v1/admin/stuck/give-up", { json }),
    lines: () => [["API", curl("POST", "/v1/admin/stuck/give-up", { json })], ["Command line", juststorage("stuck", "give-up", segment.segment, "--yes")]],
  });
  if (done) {
    say("Its file goes after the retention.");
    again();
  }
}

/** Kept segments. */
export function kept() {
  return part(async (again) => {
    const { segments } = await get("/v1/admin/stuck/kept");
    return [
      table("Kept segments", [
        ["Segment", (one) => h("code", {}, one.segment)],
        ["Tier", (one) => one.tier],
        ["Records", (one) => one.error ? foreign(one.error) : count(one.records), "number"],
        ["", (one) => button("Give up", () => give_up(one, again), { class: "small danger", "aria-label": `Give up ${one.segment}` })],
      ], segments, "None: the database knows everything that the tiers hold."),
      same([["API", curl("GET", "/v1/admin/stuck/kept")], ["Command line", juststorage("stuck", "give-up", "--all")]]),
    ];
  }).place;
}
