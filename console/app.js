// The frame of the console: who is signed in, where we are, and the page of that place.

import { manages, may, remember, session, sign_in, sign_out, who_am_i } from "./lib/api.js";
import { foreign, h, put } from "./lib/dom.js";
import { close_dialogs, wrong } from "./lib/ui.js";
import { forget } from "./lib/uploads.js";
import * as access from "./pages/access.js";
import * as audit from "./pages/audit.js";
import * as browse from "./pages/browse.js";
import * as home from "./pages/home.js";
import * as lifecycle from "./pages/lifecycle.js";
import * as limits from "./pages/limits.js";
import * as maintenance from "./pages/maintenance.js";
import * as object from "./pages/object.js";
import * as signin from "./pages/signin.js";
import * as spaces from "./pages/spaces.js";
import { transfers } from "./pages/transfers.js";
import * as upstreams from "./pages/upstreams.js";

const main = document.getElementById("main");
const top_bar = document.getElementById("top");

/** `[place, label, page, who sees it]`; without a label it is not in the menu. */
const PLACES = [
  ["home", "Home", home, () => true],
  ["browse", "Browse", { show: (parts, params) => (parts.length === 2 ? browse : spaces).show(parts, params) }, () => may("read") || may("administer")],
  ["object", null, object, () => may("read")],
  ["access", "Access", access, () => true],
  ["limits", "Limits", limits, () => may("limits") || may("operate")],
  ["lifecycle", "Lifecycle", lifecycle, manages],
  ["upstreams", "Upstreams", upstreams, () => may("operate")],
  ["maintenance", "Maintenance", maintenance, () => may("operate")],
  ["audit", "Audit", audit, () => may("events") || may("operate")],
];

function place() {
  const [path, search = ""] = location.hash.slice(1).split("?");
  let parts;
  try {
    parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    parts = [];
  }
  return [parts[0] ?? "home", parts.slice(1), new URLSearchParams(search)];
}

function frame(current) {
  if (!session.who) {
    put(top_bar, h("span", { class: "brand" }, "JustStorage"));
    return;
  }
  const { who } = session;
  const menu = PLACES.filter(([, label, , seen]) => label && seen())
    .map(([name, label]) => h("a", { href: `#/${name}`, "aria-current": (name === current || (current === "object" && name === "browse")) && "page" }, label));
  const leave = () => {
    sign_out();
    forget();
    location.hash = "#/home";
    begin();
  };
  const name = who.authentication === "disabled" ? "no sign-in needed here"
    : ["signed in", who.tenant && [" to ", foreign(who.tenant)]];
  put(top_bar,
    h("a", { class: "brand", href: "#/home" }, "JustStorage"),
    h("nav", { "aria-label": "Pages of the console" }, menu),
    h("span", { class: "who" }, h("span", { class: "muted" }, name),
      session.token && h("button", { type: "button", class: "small", onclick: leave }, "Sign out")));
}

let turn = 0;

async function show() {
  turn += 1;
  const mine = turn;
  const [name, parts, params] = place();
  const found = PLACES.find(([known, , , seen]) => known === name && seen());
  frame(name);
  main.setAttribute("aria-busy", "true");
  let content;
  let title = "Not here";
  if (found) {
    try {
      ({ title, content } = await found[2].show(parts, params));
    } catch (error) {
      if (error.status === 401) return;
      content = [h("h1", {}, "This did not work"), wrong(error)];
    }
  } else {
    content = [h("h1", {}, "Not here"), h("p", {}, "There is no such page, or you may not see it.")];
  }
  if (mine !== turn) return;
  document.title = `${title} – JustStorage`;
  put(main, content, transfers());
  main.setAttribute("aria-busy", "false");
  const heading = main.querySelector("h1");
  if (heading && document.activeElement === document.body) {
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }
}

function ask_who(reason) {
  turn += 1;
  close_dialogs();
  session.who = null;
  frame();
  document.title = "Sign in – JustStorage";
  put(main, signin.form(reason, async (token, keep) => {
    sign_in(token, keep);
    await who_am_i();
    await begin();
  }));
  main.querySelector("input")?.focus();
}

async function begin() {
  try {
    if (!session.who) await who_am_i();
  } catch (error) {
    if (error.status === 401) ask_who(session.token ? error : null);
    else put(main, h("h1", {}, "The server does not answer"), wrong(error), h("p", {}, h("a", { class: "button", href: "/console/" }, "Try again")));
    return;
  }
  await show();
}

addEventListener("hashchange", () => {
  if (!session.who) return;
  close_dialogs();
  document.activeElement?.closest?.("main") && document.activeElement.blur();
  show();
});
addEventListener("signed-out", (event) => session.who && ask_who(event.detail));
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
remember();
begin();
