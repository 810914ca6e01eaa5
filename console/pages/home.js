// The state of the store, in pictures.

import { get, if_there, manages, may, query, s3_address, session } from "../lib/api.js";
import { bar, line } from "../lib/chart.js";
import { foreign, h } from "../lib/dom.js";
import { bytes, count, from_now, percent, plural } from "../lib/format.js";
import { curl, juststorage } from "../lib/shell.js";
import { go, part, same } from "../lib/ui.js";
import { link } from "./spaces.js";

/** How often the requests are asked for again, in milliseconds: the server counts them by the minute. */
const EVERY = 30_000;

async function health() {
  let checks = {};
  let ready = false;
  try {
    const answer = await fetch("/ready", { credentials: "omit", cache: "no-store" });
    ready = answer.ok;
    ({ checks } = await answer.json());
  } catch (error) {
    checks = { server: error.message };
  }
  const { server } = session.who;
  return [
    h("p", { class: "big" }, ready ? "Ready" : "Not ready"),
    h("p", {}, Object.entries(checks).map(([name, said]) => h("span", { class: said === "ok" ? "tag good" : "tag bad" }, `${name}: ${said}`))),
    server && h("p", { class: "muted" }, `Version ${server.version}`, server.commit && `, commit ${server.commit.slice(0, 12)}`, server.date && ` of ${server.date}`),
    s3_address() && h("p", {}, "S3 at ", h("code", {}, s3_address()), h("span", { class: "muted" }, `, region ${session.who.s3.region}`)),
  ];
}

function volumes(list) {
  return list.map((volume) => {
    const used = volume.total_bytes - volume.free_bytes;
    const reserve = Math.min(volume.reserve_bytes, volume.free_bytes);
    return [
      h("h3", {}, volume.name, volume.full && h("span", { class: "tag bad" }, "full: uploads are refused")),
      bar(`Volume ${volume.name}`, [
        ["used", used, volume.full ? "over" : "used", bytes(used)],
        ["reserve", reserve, "reserve", bytes(reserve)],
        ["free", Math.max(volume.free_bytes - reserve, 0), "rest", bytes(Math.max(volume.free_bytes - reserve, 0))],
      ], volume.total_bytes),
    ];
  });
}

async function usage() {
  const figures = await get("/v1/admin/usage");
  const { total } = figures;
  const sums = new Map();
  for (const one of figures.spaces) {
    const tenant = one.tenant;
    const name = `${one.namespace}/${tenant}`;
    const sum = sums.get(name) ?? { namespace: one.namespace, tenant, logical_bytes: 0, physical_bytes: 0 };
    sum.logical_bytes += one.logical_bytes;
    sum.physical_bytes += one.physical_bytes;
    sums.set(name, sum);
  }
  const largest = [...sums.values()].sort((a, b) => b.logical_bytes - a.logical_bytes).slice(0, 5);
  return [
    h("div", { class: "columns" },
      h("section", { class: "card" }, h("h2", {}, "Objects"), h("p", { class: "big" }, count(total.objects)),
        h("p", { class: "muted" }, `in ${plural(sums.size, "space")}`, total.delete_markers > 0 && `, and ${plural(total.delete_markers, "delete marker")}`,
          total.upload_bytes > 0 && `; ${bytes(total.upload_bytes)} in uploads under way`)),
      h("section", { class: "card", id: "savings" }, h("h2", {}, "What deduplication saves"),
        h("p", { class: "big" }, bytes(total.saved_bytes), h("span", { class: "muted" }, ` ${percent(total.saved_bytes, total.logical_bytes)}`)),
        bar("Bytes", [["on disk", total.physical_bytes, "physical", bytes(total.physical_bytes)], ["saved", total.saved_bytes, "saved", bytes(total.saved_bytes)]],
          total.logical_bytes),
        h("p", { class: "muted" }, `${bytes(total.logical_bytes)} were written.`))),
    h("div", { class: "columns" },
      largest.length > 0 && h("section", { class: "card" }, h("h2", {}, "Largest spaces"), largest.map((space) => [
        h("a", { href: link(["browse", space.namespace, space.tenant]) }, foreign(`${space.namespace}/${space.tenant}`)),
        bar(`Space ${space.namespace}/${space.tenant}`, [
          ["on disk", space.physical_bytes, "physical", bytes(space.physical_bytes)],
          ["saved", Math.max(space.logical_bytes - space.physical_bytes, 0), "saved", bytes(Math.max(space.logical_bytes - space.physical_bytes, 0))],
        ], largest[0].logical_bytes)])),
      figures.volumes && h("section", { class: "card" }, h("h2", {}, "Free space"), volumes(figures.volumes))),
  ];
}

async function findings() {
  const found = [];
  if (may("operate")) {
    const stuck = await if_there(get("/v1/admin/stuck"));
    if (stuck?.stuck.length) found.push(["bad", `${plural(stuck.stuck.length, "item")}${stuck.more ? " and more" : ""} of background work failed`, "See why", "#/maintenance"]);
    const scrub = await if_there(get("/v1/admin/scrub?limit=1000"));
    if (scrub?.findings.length) found.push(["bad", `${plural(scrub.findings.length, "blob")} in quarantine`, "See which", "#/maintenance"]);
  }
  if (may("administer")) {
    const ending = [];
    let cursor = null;
    do {
      const page = await if_there(get(`/v1/admin/credentials${query({ ending: true, limit: 1000, cursor })}`));
      ending.push(...(page?.credentials ?? []));
      cursor = page?.next_cursor;
    } while (cursor);
    if (ending.length) {
      const first = ending.map((one) => one.expires_at).sort()[0];
      found.push(["warn", `${plural(ending.length, "credential")} will expire, the first ${from_now(first)}`, "Rotate", "#/access/credentials?state=ending"]);
    }
  }
  if (!found.length) return h("p", {}, h("span", { class: "tag good" }, "✓"), "Nothing needs attention.");
  return h("ul", { class: "plain" }, found.map(([kind, text, verb, place]) => h("li", { class: "row" }, h("span", { class: `tag ${kind}` }, "!"), text, go(verb, place, { class: "button small" }))));
}

function traffic() {
  const { place, again } = part(async () => {
    const { minutes } = await get("/v1/admin/traffic");
    // The first seconds of a minute are no rate yet.
    const seen = minutes.filter((minute) => minute.seen_seconds >= 5 || minutes.length === 1);
    const points = (value) => seen.map((minute) => [Date.parse(minute.begins_at), value(minute)]).filter(([, found]) => found !== null);
    const a_second = (what) => points((minute) => minute[what] / Math.max(minute.seen_seconds, 1));
    const rate = (value) => `${value < 10 ? value.toFixed(1) : count(Math.round(value))}/s`;
    const time = (value) => `${value.toFixed(1)} ms`;
    return [line("Requests", a_second("requests"), rate), line("Latency, median", points((minute) => minute.median_ms), time),
      line("Latency, 99 of 100", points((minute) => minute.p99_ms), time), line("Errors of the server", a_second("failed"), rate)];
  });
  const timer = setInterval(() => (place.isConnected ? again() : clearInterval(timer)), EVERY);
  return h("section", { class: "card" }, h("h2", {}, "Requests"), place, h("p", { class: "muted" }, "Of this server, in the last hour."));
}

/** The page. */
export async function show() {
  const measured = may("operate");
  return {
    title: "Home",
    content: [
      h("h1", {}, "Home"),
      h("div", { class: "columns" },
        h("section", { class: "card" }, h("h2", {}, "Health"), part(health).place),
        manages() && h("section", { class: "card" }, h("h2", {}, "Findings"), part(findings).place),
        measured && traffic()),
      !session.who.prefixes && (may("read") || may("administer") || may("operate")) && part(usage).place,
      same([["API", [curl("GET", "/ready"), curl("GET", "/v1/admin/usage"), measured && curl("GET", "/v1/admin/traffic")].filter(Boolean).join("\n")],
        ["Command line", [juststorage("stats"), juststorage("stuck")].join("\n")]]),
    ],
  };
}
