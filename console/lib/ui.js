// Parts that every page is made of.

import { add, h, put } from "./dom.js";

/** Says something to everybody: a line that goes again, and is read aloud. */
export function say(text, kind = "done") {
  const line = h("p", { class: `note ${kind}` }, text);
  const place = document.getElementById("said");
  place.append(line);
  setTimeout(() => line.remove(), kind === "wrong" ? 12000 : 5000);
}

/** What went wrong, as a line. */
export function wrong(error) {
  const id = error.request_id ? ` (request ${error.request_id})` : "";
  return h("p", { class: "note wrong", role: "alert" }, error.message, h("span", { class: "muted" }, ` ${error.code ?? ""}${id}`));
}

/** Runs `work` while `button` cannot be pressed again; says what went wrong. */
export async function busy(button, work) {
  button.disabled = true;
  try {
    return await work();
  } catch (error) {
    say(error.message, "wrong");
    return undefined;
  } finally {
    button.disabled = false;
  }
}

/** A button. */
export function button(text, press, props = {}) {
  const made = h("button", { type: "button", ...props }, text);
  made.addEventListener("click", () => busy(made, () => press(made)));
  return made;
}

/** A link that looks like a button. */
export function go(text, href, props = {}) {
  return h("a", { class: "button", href, ...props }, text);
}

let labels = 0;

/** A labelled control: what `control` is, and `hint` below it. */
export function field(label, control, hint) {
  labels += 1;
  const id = `f${labels}`;
  control.id = id;
  if (hint) control.setAttribute("aria-describedby", `${id}h`);
  return h("div", { class: "field" }, h("label", { for: id }, label), control, hint && h("small", { id: `${id}h`, class: "muted" }, hint));
}

/** A box to tick. */
export function tick(label, props = {}) {
  const box = h("input", { type: "checkbox", ...props });
  return { box, element: h("label", { class: "tick" }, box, " ", label) };
}

/** A choice of `[value, label]`. */
export function choice(options, value, props = {}) {
  const select = h("select", props, options.map(([key, label]) => h("option", { value: key }, label)));
  select.value = value;
  return select;
}

/** A choice that filters what is below once its button is pressed: the keys that walk through it change nothing. */
export function filter(label, options, value, apply) {
  const select = choice(options, value);
  return h("form", { class: "row", role: "search", onsubmit: (event) => {
    event.preventDefault();
    apply(select.value);
  } }, field(label, select), h("button", { type: "submit" }, "Filter"));
}

/** A table; `columns` are `[heading, row => content, class]`. */
export function table(caption, columns, rows, empty = "Nothing here.") {
  if (!rows.length) return h("p", { class: "muted" }, empty);
  const head = h("tr", {}, columns.map(([heading, , kind]) => h("th", { scope: "col", class: kind }, heading)));
  const body = rows.map((row) => h("tr", {}, columns.map(([heading, content, kind]) => h("td", { class: kind, "data-label": heading }, content(row)))));
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h("table", {}, h("caption", { class: "hidden" }, caption), h("thead", {}, head), h("tbody", {}, body)));
}

/** Pairs of name and content. */
export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(Boolean).map(([name, content]) => [h("dt", {}, name), h("dd", {}, content)]));
}

/** A text to copy. */
export function copyable(text, label = "Copy") {
  const code = h("pre", { tabindex: 0, "aria-label": "text to copy" }, h("code", {}, text));
  const copy = button(label, async () => {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      say("Copied.");
    } else {
      // Without TLS there is no clipboard: the text is selected for the keyboard.
      getSelection().selectAllChildren(code);
      say("Selected: press Ctrl+C.");
    }
  }, { class: "small" });
  return h("div", { class: "copyable" }, code, copy);
}

/** The call and the command that do the same as the action beside it. */
export function same(lines) {
  const known = lines.filter((line) => line && line[1]);
  return h("details", { class: "same" }, h("summary", {}, "Same by API and command line"),
    known.map(([name, text]) => [h("h3", {}, name), copyable(text)]));
}

/** Same, made anew whenever something is typed into `form`. */
export function same_as(form, lines) {
  const place = h("div", {});
  const show = () => {
    const open = place.firstElementChild?.open;
    put(place, same(lines()));
    if (open) place.firstElementChild.open = true;
  };
  form.addEventListener("input", show);
  show();
  return place;
}

/** A dialog over the page. `build(close)` returns its content; resolves with what it is closed with. */
export function dialog(title, build, kind = "") {
  return new Promise((resolve) => {
    labels += 1;
    const id = `d${labels}`;
    const before = document.activeElement;
    let result;
    const box = h("dialog", { "aria-labelledby": id, class: kind });
    const close = (value) => {
      result = value;
      box.close();
    };
    const shut = h("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => close(undefined) }, "×");
    add(box, [h("div", { class: "bar" }, h("h2", { id }, title), shut), build(close)]);
    box.addEventListener("close", () => {
      box.remove();
      before?.isConnected && before.focus();
      resolve(result);
    });
    document.body.append(box);
    box.showModal();
  });
}

/** Closes what is over the page. */
export function close_dialogs() {
  for (const box of document.querySelectorAll("dialog[open]")) box.close();
}

/** A dialog with a form. `submit` may throw: the error is shown and the dialog stays. Resolves with its answer. */
export function ask(title, { body, action, submit, danger = false, lines }) {
  return dialog(title, (close) => {
    const errors = h("div", {});
    const send = h("button", { type: "submit", class: danger ? "danger" : "primary" }, action);
    const form = h("form", { onsubmit: async (event) => {
      event.preventDefault();
      send.disabled = true;
      put(errors);
      try {
        close(await submit() ?? true);
      } catch (error) {
        put(errors, wrong(error));
        send.disabled = false;
      }
    } }, body, errors, h("div", { class: "row end" }, h("button", { type: "button", onclick: () => close(undefined) }, "Cancel"), send));
    return [form, lines && same_as(form, lines)];
  });
}

/** Shows `load()`'s content in a place of its own, and again on `again()`; errors in the place only. */
export function part(load) {
  const place = h("div", { class: "part", tabindex: -1, "aria-busy": "true" }, h("p", { class: "muted" }, "Loading…"));
  let turn = 0;
  const again = async () => {
    turn += 1;
    const mine = turn;
    place.setAttribute("aria-busy", "true");
    let content;
    try {
      content = await load(again);
    } catch (error) {
      content = wrong(error);
    }
    if (mine !== turn) return;
    const inside = place.contains(document.activeElement);
    put(place, content);
    place.setAttribute("aria-busy", "false");
    // The keyboard's focus stays in here.
    if (inside) place.focus({ preventScroll: true });
  };
  again();
  return { place, again };
}

/** Pages of a list by cursors: `load(cursor)` gives `{content, next}`. Back and forth; nothing but the cursors is kept. */
export function pages(load) {
  const cursors = [null];
  const { place, again } = part(async (redo) => {
    const { content, next } = await load(cursors.at(-1), redo);
    const turn = (change) => async () => {
      change();
      await redo();
      place.scrollIntoView({ block: "nearest" });
    };
    const more = next || cursors.length > 1;
    return [content, more && h("nav", { class: "row", "aria-label": "Pages" },
      button("‹ Previous", turn(() => cursors.pop()), { disabled: cursors.length === 1 }),
      h("span", { class: "muted" }, `Page ${cursors.length}`),
      button("Next ›", turn(() => cursors.push(next)), { disabled: !next }))];
  });
  return { place, again };
}
