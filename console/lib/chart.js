// Pictures of figures. Each says in words what it shows.

import { h, s } from "./dom.js";

/** Parts of a whole as one bar: `[label, value, class, text]`. */
export function bar(label, parts, whole = parts.reduce((sum, [, value]) => sum + value, 0)) {
  const text = parts.map(([name, , , shown]) => `${name}: ${shown}`).join(", ");
  let x = 0;
  const pieces = parts.map(([, value, kind]) => {
    const width = whole > 0 ? (100 * value) / whole : 0;
    const piece = s("rect", { x, y: 0, width: Math.max(Math.min(width, 100 - x), 0), height: 10, class: kind });
    x += width;
    return piece;
  });
  return h("figure", { class: "bar" },
    s("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img", "aria-label": `${label}: ${text}` },
      s("rect", { x: 0, y: 0, width: 100, height: 10, class: "rest" }), pieces),
    h("figcaption", {}, parts.map(([name, , kind, shown]) => h("span", { class: "key" },
      s("svg", { viewBox: "0 0 10 10", class: "dot", "aria-hidden": "true" }, s("rect", { width: 10, height: 10, rx: 2, class: kind })),
      `${name} ${shown}`))));
}

/** A line over time. `points` are `[time, value]`; `show` writes a value. */
export function line(label, points, show) {
  const values = points.map(([, value]) => value);
  const last = values.at(-1);
  if (!points.length) return h("figure", { class: "line" }, h("figcaption", {}, h("b", {}, label), " ", h("span", { class: "muted" }, "nothing yet")));
  const top = Math.max(...values, 1e-9);
  const [first] = points[0];
  const span = points.at(-1)[0] - first || 1;
  // One point is a line, too.
  const drawn = points.length > 1 ? points : [points[0], [first + span, last]];
  const at = drawn.map(([time, value]) => `${((200 * (time - first)) / span).toFixed(1)},${(38 - (34 * value) / top).toFixed(1)}`);
  return h("figure", { class: "line" },
    h("figcaption", {}, h("b", {}, label), ` ${show(last)}`, h("span", { class: "muted" }, ` most ${show(top)}`)),
    s("svg", { viewBox: "0 0 200 40", preserveAspectRatio: "none", role: "img", "aria-label": `${label}: now ${show(last)}, most ${show(Math.max(...values))}` },
      s("polygon", { points: `0,40 ${at.join(" ")} 200,40`, class: "area" }),
      s("polyline", { points: at.join(" "), class: "stroke", fill: "none" })));
}
