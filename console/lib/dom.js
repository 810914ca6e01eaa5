// Builds elements. Text becomes text nodes only, so a name chosen by an uploader is never markup.

const SVG = "http://www.w3.org/2000/svg";
const LINKS = /^(#|\/v1\/|\/console\/|blob:)/;

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else if (name === "value" || name === "checked" || name === "disabled" || name === "open" || name === "indeterminate") {
      element[name] = value;
    } else {
      if ((name === "href" || name === "src") && !LINKS.test(value)) throw new Error(`no link to ${value}`);
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  add(element, children);
  return element;
}

/** Appends elements and texts; arrays are flattened, nothing is appended for null and false. */
export function add(element, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** An HTML element: `h("a", {href: "#/home", onclick: f}, "text", child)`. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An SVG element. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** Replaces what an element holds. */
export function put(element, ...children) {
  element.replaceChildren();
  return add(element, children);
}

// Controls, invisible marks and those that turn the direction of text, which can make one name look like another.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Text of other users: hidden characters are shown as their code, and its direction stays its own. */
export function foreign(text) {
  const shown = String(text).replace(HIDDEN, (hidden) => `‹${hidden.codePointAt(0).toString(16).padStart(4, "0")}›`);
  return h("bdi", {}, shown);
}
