// What is in an object: text as text, four kinds of images by their first bytes. Never as a document of this origin.

import { send } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { bytes } from "../lib/format.js";

const TEXT_MAX = 64 << 10;
const IMAGE_MAX = 16 << 20;

/** `[type, first bytes, further bytes and where they are]`. SVG is a document and is shown as text. */
const IMAGES = [
  ["image/png", [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]],
  ["image/jpeg", [0xff, 0xd8, 0xff]],
  ["image/gif", [0x47, 0x49, 0x46, 0x38]],
  ["image/webp", [0x52, 0x49, 0x46, 0x46], [8, [0x57, 0x45, 0x42, 0x50]]],
];

const begins = (start, marks, at = 0) => marks.every((mark, index) => start[at + index] === mark);

function image_type(start) {
  const found = IMAGES.find(([, marks, further]) => begins(start, marks) && (!further || begins(start, further[1], further[0])));
  return found?.[0];
}

function text_of(start, whole) {
  // A character may be cut where the preview ends.
  for (let cut = 0; cut < (whole ? 1 : 4); cut += 1) {
    try {
      const text = new TextDecoder("utf-8", { fatal: true }).decode(start.subarray(0, start.length - cut));
      return text.includes("\0") ? null : text;
    } catch {
      // Not text so far.
    }
  }
  return null;
}

function neat(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function read(object, length) {
  const answer = await send("GET", `/v1/objects/${object.id}`, { tenant: object.tenant_id, headers: { Range: `bytes=0-${length - 1}` } });
  return new Uint8Array(await answer.arrayBuffer());
}

/** The preview's content. */
export async function preview(object) {
  const size = object.size_bytes;
  if (size === 0) return h("p", { class: "muted" }, "The object is empty.");
  const start = await read(object, Math.min(size, TEXT_MAX));
  const type = image_type(start);
  if (type) {
    if (size > IMAGE_MAX) return h("p", { class: "muted" }, `An image of ${bytes(size)}: too large for a preview.`);
    const whole = start.length === size ? start : await read(object, size);
    const place = URL.createObjectURL(new Blob([whole], { type }));
    const picture = h("img", { class: "preview", alt: "The image in this object" });
    const done = () => URL.revokeObjectURL(place);
    picture.addEventListener("load", done);
    picture.addEventListener("error", () => {
      done();
      picture.replaceWith(h("p", { class: "muted" }, "It begins like an image, and is none."));
    });
    picture.src = place;
    return picture;
  }
  const whole = start.length === size;
  const text = text_of(start, whole);
  if (text === null) return h("p", { class: "muted" }, "No preview: neither text nor a PNG, JPEG, GIF or WebP image.");
  return [
    h("pre", { class: "preview", tabindex: 0, "aria-label": "The text in this object" }, whole ? neat(text) : text),
    !whole && h("p", { class: "muted" }, `The first ${bytes(start.length)} of ${bytes(size)}.`),
  ];
}
