// Signing in with a token.

import { h, put } from "../lib/dom.js";
import { copyable, field, tick, wrong } from "../lib/ui.js";

/** The form. `enter(token, keep)` signs in or throws. */
export function form(reason, enter) {
  const token = h("input", { type: "password", name: "token", autocomplete: "off", spellcheck: "false", required: true });
  const keep = tick("Keep it until this tab is closed");
  const errors = h("div", {}, reason && wrong(reason));
  const send = h("button", { type: "submit", class: "primary" }, "Sign in");
  return h("section", { class: "card narrow" },
    h("h1", {}, "Sign in"),
    h("form", { onsubmit: async (event) => {
      event.preventDefault();
      send.disabled = true;
      put(errors);
      try {
        await enter(token.value.trim(), keep.box.checked);
      } catch (error) {
        put(errors, wrong(error));
        send.disabled = false;
        token.focus();
      }
    } },
    field("API token or JSON web token", token, "It stays in this page, and is sent to this server only."),
    keep.element, errors, h("div", { class: "row end" }, send)),
    h("details", {}, h("summary", {}, "Where do I get a token?"),
      h("p", {}, "The operator of this store makes one in a shell beside it:"),
      copyable("juststorage key create --kind api --tenant default --rights read,write,delete,admin")));
}
