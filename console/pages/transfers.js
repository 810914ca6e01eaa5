// The uploads of this tab, at the foot of every page.

import { foreign, h, put } from "../lib/dom.js";
import { bytes, percent, plural } from "../lib/format.js";
import { button, say } from "../lib/ui.js";
import { drop, pause, queue, resume, tidy } from "../lib/uploads.js";

const place = h("section", { class: "transfers", "aria-label": "Uploads" });
// Progress comes many times a second; lines are made once and changed after that.
const lines = new Map();
const left = () => queue.filter((item) => item.state !== "done").length;
const title = h("h2", {});
const clear = h("button", { type: "button", class: "small", onclick: tidy }, "Clear those done");
const list = h("ul", {});
let whole = 0;

/** How many lines are shown; the figures count all. */
const SHOWN = 50;

function line_of(item) {
  const state = h("span", { class: "muted" });
  const progress = h("progress", { max: Math.max(item.file.size, 1), "aria-label": `Upload of ${item.key}` });
  const actions = h("span", { class: "row" });
  const element = h("li", {}, h("span", { class: "grow" }, foreign(item.key)), progress, state, actions);
  return { element, state, progress, actions, last: null };
}

function update(item) {
  if (!lines.has(item)) lines.set(item, line_of(item));
  const line = lines.get(item);
  line.progress.value = item.state === "done" ? line.progress.max : item.sent;
  const words = {
    waiting: "waiting", sending: `${percent(item.sent, item.file.size)} of ${bytes(item.file.size)}`, done: `done, ${bytes(item.file.size)}`,
    paused: `stopped at ${percent(item.sent, item.file.size)}`, failed: item.error?.status === 412 ? "there is an object of this name" : item.error?.message,
  }[item.state];
  line.state.textContent = item.kept ? `${words}, ${plural(item.kept, "part")} were there` : words;
  if (line.last === item.state) return line.element;
  line.last = item.state;
  line.element.className = item.state;
  const name = { "aria-label": undefined, class: "small" };
  const of = (verb) => ({ ...name, "aria-label": `${verb} ${item.key}` });
  put(line.actions,
    item.state === "sending" && button("Pause", () => pause(item), of("Pause")),
    (item.state === "paused" || item.state === "failed") && button("Resume", () => resume(item), of("Resume")),
    item.state === "failed" && item.error?.status === 412 && button("Replace", () => {
      item.replace = true;
      resume(item);
    }, of("Replace")),
    item.state !== "done" && button("Cancel", () => drop(item), of("Cancel")));
  return line.element;
}

function show() {
  place.hidden = queue.length === 0;
  for (const item of lines.keys()) if (!queue.includes(item)) lines.delete(item);
  const wait = left();
  title.textContent = wait ? `Uploads: ${plural(wait, "file")} to go` : "Uploads: all done";
  if (whole && !wait) say(`${plural(queue.length, "file")} uploaded.`);
  whole = queue.filter((item) => item.state === "waiting" || item.state === "sending").length;
  const first = [...queue].sort((a, b) => (a.state === "done") - (b.state === "done")).slice(0, SHOWN);
  const elements = first.map(update);
  if (elements.length !== list.children.length || elements.some((element, index) => list.children[index] !== element)) list.replaceChildren(...elements);
  clear.hidden = !queue.some((item) => item.state === "done");
}

place.append(h("div", { class: "bar" }, title, clear), list);
show();
let asked = false;
addEventListener("uploads", () => {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    show();
  });
});
addEventListener("beforeunload", (event) => queue.some((item) => item.state === "sending") && event.preventDefault());

/** The panel. */
export function transfers() {
  return place;
}
