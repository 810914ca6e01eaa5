// One space that leaves another store: how far it is, what was found, who still uses the old one.

import { call, get, send } from "../lib/api.js";
import { foreign, h, put } from "../lib/dom.js";
import { bytes, count, from_now, plural, when } from "../lib/format.js";
import { curl, juststorage } from "../lib/shell.js";
import { button, facts, go, part, same, say, table } from "../lib/ui.js";
import { MODES, bind, detach, forget, named, path_of, set_mode } from "./binding.js";

/** How often work under way is looked at, in milliseconds. */
const LOOK = 1000;

/** Seconds that a change may wait before it counts as late: as the alert `JustStorageMirrorLate` has it. */
const LATE = 300;

export const space_of = (one) => `${one.namespace}/${one.tenant}`;
export const upstream_of = (one) => `${one.endpoint} ${one.upstream_bucket}/${one.prefix}`;
export const late = (mirror) => mirror.lag_seconds >= LATE || mirror.dropped > 0;

const moment = (time) => h("span", { title: when(time) }, from_now(time));
const verdict = (ok, good, bad) => h("span", { class: `tag ${ok ? "good" : "bad"}` }, ok ? good : bad);

/** `[pass, label, what it has come to]`. */
const PASSES = [
  ["survey", "Survey", (report) => `${plural(report.objects, "object")}, ${bytes(report.bytes)}`],
  ["backfill", "Backfill", (report) => `${count(report.fetched)} fetched, ${bytes(report.bytes)}; round ${report.round}: ${count(report.objects)} looked at, ${count(report.failed)} failed`],
  ["verify", "Comparison", (report) => `${count(report.matched)} match, ${count(report.differ)} differ, ${count(report.only_upstream)} only upstream, ${count(report.only_here)} only here${report.waiting ? `, ${count(report.waiting)} wait to be sent` : ""}${report.versions ? `; versions: ${plural(report.versions.keys, "key")} match, ${count(report.versions.differ)} differ, ${count(report.versions.only_upstream)} only upstream` : ""}`],
  ["refresh", "Refresh", (report) => `${count(report.keys)} keys looked at, ${count(report.replaced)} replaced there, ${count(report.removed)} removed there, ${count(report.found)} left to decide`],
  ["mirror", "Beginning of the mirror", (report) => `${count(report.keys)} keys looked at, ${count(report.queued)} to send`],
];

const pass_of = (one, kind) => (kind === "mirror" ? one.mirror?.pass : one[kind]);
const under_way = (pass) => Boolean(pass) && !pass.finished_at;
const works = (one) => PASSES.some(([kind]) => under_way(pass_of(one, kind)));

// How far a pass is, where the survey says how much there is.
function bar(one, kind, { report }) {
  const whole = one.survey?.finished_at && one.survey.report.objects;
  // One that has just begun reports nothing yet.
  const sum = (...names) => names.reduce((sum, name) => sum + (report[name] ?? 0), 0);
  const done = { backfill: sum("objects"), verify: sum("matched", "differ", "only_upstream") }[kind];
  return whole > 0 && done !== undefined && [" ", h("progress", { max: whole, value: Math.min(done, whole), "aria-label": `${kind}: objects` })];
}

function state(one, kind, pass) {
  if (!pass) return "not yet";
  if (under_way(pass)) return [h("span", { class: "tag warn" }, "under way"), bar(one, kind, pass)];
  const { clean, found = 0 } = pass.report;
  return [clean === undefined || clean === null ? found > 0 && verdict(false, "", plural(found, "finding")) : verdict(clean, "clean", "not clean"), "done ", moment(pass.finished_at)];
}

function progress(one) {
  const { mirror } = one;
  return [
    facts(PASSES.map(([kind, label, says]) => {
      const pass = pass_of(one, kind);
      return (pass || !["mirror", "refresh"].includes(kind)) && [label, [state(one, kind, pass), pass && [h("br"), says(pass.report)]]];
    })),
    mirror && [h("h3", {}, "Mirror"), facts([
      ["Lag", h("span", { class: `tag ${late(mirror) ? "bad" : "good"}` }, `${mirror.lag_seconds} s`)],
      ["Keys that wait to be sent", count(mirror.waiting)],
      ["Put aside", count(mirror.aside)],
      mirror.dropped > 0 && ["Dropped, until a pass makes it good", count(mirror.dropped)],
      mirror.last_error && ["The last attempt failed", foreign(mirror.last_error)],
      ["Changed there by somebody else", verdict(mirror.changed_there === 0, "0", count(mirror.changed_there))],
    ])],
  ];
}

/** What comes next on the way. */
function next(one) {
  if (one.mode === "detached") return "The space has left its upstream. The upstream can be forgotten.";
  if (one.mode === "observe") {
    return one.survey?.finished_at ? "Set the mode read-through, then point the service here." : "The survey counts what is there, and says what does not move.";
  }
  if (works(one)) return "Work is under way.";
  if (!one.backfill?.report.clean) return "Backfill fetches what is not here yet; it may be repeated.";
  if (!one.verify?.report.clean) return "Compare both sides.";
  return "Both sides agree. Once no client uses the old store any more, detach.";
}

function findings(one) {
  const shown = PASSES.flatMap(([kind, label]) => (pass_of(one, kind)?.report.findings ?? []).map((finding) => ({ label, ...finding })));
  const changed = (one.mirror?.changed ?? []).map(({ key, at }) => ({ label: "Mirror", key, verdict: "changed there", why: `somebody else changed it upstream; found ${when(at)}` }));
  return [
    table("Findings", [
      ["From", (finding) => finding.label],
      ["Key", (finding) => foreign(finding.key)],
      ["Verdict", (finding) => (finding.verdict ?? "").replaceAll("_", " ")],
      ["Why", (finding) => foreign(finding.why ?? "")],
    ], [...shown, ...changed], "Nothing was found."),
    one.survey?.report.stays?.length > 0 && [h("h3", {}, "What does not move by itself"), h("ul", {}, one.survey.report.stays.map((line) => h("li", {}, foreign(line))))],
  ];
}

// Saved, and never opened: what it holds has the names of others in it.
async function save(path, name) {
  const answer = await send("GET", path);
  const href = URL.createObjectURL(new Blob([await answer.blob()], { type: "application/octet-stream" }));
  const link = h("a", { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(href), 60000);
}

function report(one) {
  const where = `${path_of(one)}/report`;
  const name = `${one.namespace}-${one.tenant}`;
  if (!one.verify?.finished_at) return h("p", { class: "muted" }, "There is one once a comparison is done.");
  return [
    h("div", { class: "row" }, button("Save the report", () => save(where, `${name}.json`)), button("Save it as a page", () => save(`${where}.html`, `${name}.html`))),
    same([["API", curl("GET", where)], ["Command line", [juststorage("upstream", "report", ...named(one), "--out", `${name}.json`), juststorage("upstream", "report", "--check", `${name}.json`)].join("\n")]]),
  ];
}

function clients(one) {
  return part(async () => {
    const { clients: all } = await get(`${path_of(one)}/clients`);
    return [
      table("Clients", [
        ["Credential", (client) => foreign(client.credential)],
        ["User agent", (client) => foreign(client.user_agent)],
        ["Last seen", (client) => moment(client.last_at)],
        ["From here", (client) => count(client.local), "number"],
        ["Fetched", (client) => count(client.pulled), "number"],
        ["Passed on", (client) => count(client.upstream), "number"],
        ["Changes", (client) => count(client.changes), "number"],
        ["Other", (client) => count(client.other), "number"],
      ], all, "Nobody was seen yet."),
      h("p", { class: "muted" }, "Who is missing, or was last seen long ago, may still use the old store."),
      same([["API", curl("GET", `${path_of(one)}/clients`)], ["Command line", juststorage("upstream", "clients", ...named(one))]]),
    ];
  }).place;
}

async function begin(one, work, again) {
  await call("POST", `${path_of(one)}/${work}`);
  say(`${work} of ${space_of(one)} is under way.`);
  await again();
}

function follow(one, again) {
  const place = h("div", {}, progress(one));
  const look = async (before) => {
    if (!place.isConnected) return;
    const now = await get(path_of(one)).catch(() => before);
    if (!place.isConnected) return;
    if (works(before) && !works(now)) {
      say(`The work over ${space_of(one)} is done.`);
      await again();
      return;
    }
    put(place, progress(now));
    if (works(now) || now.mirror?.waiting > 0) setTimeout(look, LOOK, now);
  };
  if (works(one) || one.mirror?.waiting > 0) setTimeout(look, LOOK, one);
  return place;
}

function work(one, again) {
  const passes = [["survey", "Survey"], one.mode !== "detached" && ["backfill", "Backfill"], ["verify", "Compare"], one.mode === "observe" && ["refresh", "Refresh"], one.mode === "mirror" && ["mirror", "Look for what was not sent"]].filter(Boolean);
  return [
    h("div", { class: "row" }, passes.map(([kind, label]) => button(label, () => begin(one, kind, again)))),
    follow(one, again),
    same([["API", curl("POST", `${path_of(one)}/verify`)],
      ["Command line", [juststorage("upstream", "status", ...named(one)), juststorage("upstream", "backfill", ...named(one)), juststorage("upstream", "verify", ...named(one))].join("\n")]]),
  ];
}

const card = (title, content) => h("section", { class: "card" }, h("h2", {}, title), content);

/** The page. */
export async function show([namespace, tenant]) {
  const where = path_of({ namespace, tenant });
  const whole = part(async (again) => {
    const one = await get(where);
    const leaves = one.mode === "read-through" || one.mode === "mirror";
    return [
      card("Upstream", [
        facts([
          ["Mode", [h("span", { class: "tag" }, one.mode), MODES[one.mode]]],
          ["Upstream", foreign(upstream_of(one))],
          ["Access key", foreign(one.access_key)],
          ["Pace of background work", `${one.requests_per_second === null ? "any number of" : count(one.requests_per_second)} requests and ${one.bytes_per_second === null ? "bytes" : bytes(one.bytes_per_second)} a second`],
          ["Next", next(one)],
        ]),
        h("div", { class: "row" }, button("Set the mode", () => set_mode(one, again), { class: "primary" }), button("Change", () => bind(one, again)),
          leaves && button("Detach", () => detach(one, again), { class: "danger" }), !leaves && button("Forget", () => forget(one), { class: "danger" })),
      ]),
      card("Work", work(one, again)),
      card("Findings", findings(one)),
      card("Clients seen here", clients(one)),
      card("Report", report(one)),
    ];
  });
  return {
    title: `Upstream of ${namespace}/${tenant}`,
    content: [h("div", { class: "bar" }, h("h1", {}, foreign(`${namespace}/${tenant}`), " leaves its upstream"), button("Refresh", whole.again), go("All upstreams", "#/upstreams")), whole.place],
  };
}
