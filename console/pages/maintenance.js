// Background work: who does what, what failed, what the scrubber found, what is to be collected.

import { call, get, query } from "../lib/api.js";
import { foreign, h } from "../lib/dom.js";
import { bytes, count, from_now, plural, when } from "../lib/format.js";
import { curl, juststorage } from "../lib/shell.js";
import { button, facts, pages, part, same, say, table } from "../lib/ui.js";
import { backups, collection } from "./backups.js";
import { kept, stuck } from "./stuck.js";
import { targets } from "./targets.js";

const KINDS = { running: "good", resting: "good", failing: "bad", elsewhere: "", starting: "" };

/** What each does, for those who have not read the manual. */
const DOES = {
  heartbeat: "says that this server lives", neighbours: "watches other servers", "take-over": "inherits from dead servers", gc: "reclaims what nothing names",
  mover: "moves bytes between hot and cold", compaction: "empties sparse packs", "upload-expiry": "aborts unfinished uploads", lifecycle: "applies lifecycle rules",
  scrub: "reads every blob for damage", outbox: "tells event targets", upstream: "works over upstreams", clients: "counts who asks where there is an upstream",
};

async function run(worker, again) {
  const { woken } = await call("POST", `/v1/admin/workers/${worker.name}/run`);
  say(woken ? `${worker.name} takes its next step now.` : `Another server does the work of ${worker.name}.`);
  await again();
}

function scrub_of(pass) {
  if (!pass) return h("p", { class: "muted" }, "No pass yet.");
  return facts([
    ["Pass", `${pass.number}, ${pass.finished_at ? `ended ${from_now(pass.finished_at)}` : "under way"}`],
    ["Begun", when(pass.begun_at)], ["Read", `${plural(pass.blobs, "blob")}, ${bytes(pass.bytes)}`],
    ["Damaged", h("span", { class: pass.damaged ? "tag bad" : "tag good" }, count(pass.damaged))],
  ]);
}

const STATES = { serving: "good", draining: "warn", silent: "bad" };

async function replicas() {
  const { server, replicas: all } = await get("/v1/admin/replicas");
  return table("Servers", [
    ["Server", (one) => [h("code", {}, one.id), one.id === server && [" ", h("span", { class: "tag" }, "this one")], h("br"),
      h("span", { class: "muted" }, foreign(`${one.host}:${one.directory}`))]],
    ["State", (one) => h("span", { class: `tag ${STATES[one.state] ?? ""}` }, one.state)],
    ["Version", (one) => one.version ?? "–"],
    ["Since", (one) => h("span", { title: when(one.started_at) }, from_now(one.started_at))],
    ["Last seen", (one) => h("span", { title: when(one.seen_at) }, from_now(one.seen_at))],
    ["Work for all", (one) => one.workers.join(", ") || "–"],
  ], all);
}

async function workers(again) {
  const { workers: all } = await get("/v1/admin/workers");
  const waiting = (worker) => (worker.backlog ? `${count(worker.backlog.items)}${worker.backlog.more ? "+" : ""}` : "–");
  return table("Workers", [
    ["Worker", (worker) => [h("b", {}, worker.name), h("br"), h("span", { class: "muted" }, DOES[worker.name])]],
    ["State", (worker) => h("span", { class: `tag ${KINDS[worker.state] ?? ""}` }, worker.state)],
    ["Last run", (worker) => worker.last_run_at ? h("span", { title: when(worker.last_run_at) }, from_now(worker.last_run_at)) : "not yet"],
    ["Next run", (worker) => worker.next_run_at ? h("span", { title: when(worker.next_run_at) }, from_now(worker.next_run_at)) : "–"],
    ["Done", (worker) => count(worker.items), "number"],
    ["Waiting", waiting, "number"],
    ["Failed", (worker) => [worker.stuck > 0 && h("span", { class: "tag bad" }, `${plural(worker.stuck, "item")} put aside`), worker.last_error && foreign(worker.last_error)]],
    ["", (worker) => button("Run now", () => run(worker, again), { class: "small", "aria-label": `Run now: ${worker.name}` })],
  ], all);
}

function quarantine() {
  return pages(async (cursor) => {
    const page = await get(`/v1/admin/scrub${query({ cursor })}`);
    return { next: page.next_cursor, content: [scrub_of(page.pass), h("h3", {}, "In quarantine"), table("Blobs in quarantine", [
      ["SHA-256", (found) => h("code", {}, found.sha256)],
      ["Size", (found) => bytes(found.bytes), "number"],
      ["Tier", (found) => found.tier],
      ["Segment", (found) => [h("code", {}, found.segment), ` at ${found.offset}`]],
    ], page.findings, "No damaged blob.")] };
  }).place;
}

/** The page. */
export async function show() {
  const card = (title, content, id) => h("section", { class: "card", id }, h("h2", {}, title), content);
  const list = part(workers);
  return {
    title: "Maintenance",
    content: [
      h("div", { class: "bar" }, h("h1", {}, "Maintenance"), button("Refresh", () => dispatchEvent(new Event("hashchange")))),
      card("Stuck items", [stuck(), same([["API", curl("GET", "/v1/admin/stuck")], ["Command line", juststorage("stuck")]])], "stuck"),
      card("Servers", [part(replicas).place, same([["API", curl("GET", "/v1/admin/replicas")]])]),
      card("Workers", [list.place, same([["API", curl("POST", "/v1/admin/workers/gc/run", { headers: { "X-Tenant": "default" } })],
        ["Command line", [juststorage("gc"), juststorage("scrub"), juststorage("lifecycle")].join("\n")]])]),
      card("Event targets", targets(), "targets"),
      h("div", { class: "columns" },
        card("What would be collected", part(collection).place),
        card("Scrub", [quarantine(), same([["API", curl("GET", "/v1/admin/scrub")], ["Command line", juststorage("scrub")]])])),
      h("div", { class: "columns" },
        card("Kept segments", kept()),
        card("Backup", part(backups).place)),
    ],
  };
}
