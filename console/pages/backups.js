// What garbage collection would remove, and the backups that keep it.

import { call, get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { bytes, count, from_now, plural, when } from "../lib/format.js";
import { curl, juststorage } from "../lib/shell.js";
import { ask, button, choice, facts, field, same, say, table } from "../lib/ui.js";

/** What the garbage collector has before it, without doing any of it. */
export async function collection() {
  const [{ workers }, found] = await Promise.all([get("/v1/admin/workers"), get("/v1/admin/garbage")]);
  const backlog = (name) => {
    const { backlog: waits } = workers.find((worker) => worker.name === name) ?? {};
    return waits ? `${count(waits.items)}${waits.more ? " and more" : ""}` : "not known";
  };
  const more = found.more ? " and more" : "";
  return [
    facts([
      ["Deleted objects", `${count(found.objects)}${more}`],
      ["Blobs that nothing else names", `${count(found.blobs)}${more}, ${bytes(found.bytes)}`],
      ["Packs to compact", backlog("compaction")],
      ["Blobs to move", backlog("mover")],
      ["Kept for the retention", `${plural(found.retained.segments, "data file")}, ${bytes(found.retained.bytes)}`],
      found.holds > 0 && ["Held by backups", plural(found.holds, "backup")],
    ]),
    h("p", { class: "muted" }, "Nothing is removed by looking."),
    same([["API: look", curl("GET", "/v1/admin/garbage")], ["API: collect now", curl("POST", "/v1/admin/workers/gc/run", { headers: { "X-Tenant": "default" } })],
      ["Command line: collect now", juststorage("gc")]]),
  ];
}

async function begin(again) {
  const length = choice([["3600", "1 hour"], ["21600", "6 hours"], ["86400", "1 day"], ["604800", "7 days"]], "86400", { name: "hold" });
  const json = () => ({ hold_seconds: Number(length.value) });
  const made = await ask("Begin a backup", {
    action: "Begin",
    body: [h("p", {}, "From now on no data file is removed that a copy of the database may name. Copy the database first, then the tiers; then end the backup."),
      field("It ends by itself after", length)],
    submit: () => call("POST", "/v1/admin/backups", { json: json() }),
    lines: () => [["API", curl("POST", "/v1/admin/backups", { json: json() })], ["Command line", juststorage("backup", "begin", "--hold", `${length.value}s`)]],
  });
  if (made) {
    say("Removal is held: copy the database now, then the tiers.");
    again();
  }
}

async function end(hold, again) {
  const where = `/v1/admin/backups/${hold.id}`;
  const done = await ask("End the backup", {
    action: "End", body: h("p", {}, `Begun ${from_now(hold.begun_at)}. If the tiers are not copied yet, the backup lacks what is removed from now on.`),
    submit: async () => {
      await call("DELETE", where);
      return true;
    },
    lines: () => [["API", curl("DELETE", where)], ["Command line", juststorage("backup", "end", hold.id)]],
  });
  if (done) {
    say("The backup holds removal no longer.");
    again();
  }
}

/** Backups that hold removal. */
export async function backups(again) {
  const { holds } = await get("/v1/admin/backups");
  return [
    h("div", { class: "row" }, button("Begin a backup", () => begin(again))),
    table("Backups", [
      ["Begun", (hold) => h("span", { title: hold.id }, when(hold.begun_at))],
      ["Holds removal until", (hold) => when(hold.expires_at)],
      ["", (hold) => button("End", () => end(hold, again), { class: "small", "aria-label": `End the backup of ${when(hold.begun_at)}` })],
    ], holds, "No backup holds removal."),
    same([["API", curl("GET", "/v1/admin/backups")], ["Command line", [juststorage("backup", "begin"), juststorage("backup", "end"), juststorage("backup", "list")].join("\n")]]),
  ];
}
