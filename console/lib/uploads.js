// Uploads: two files at a time; a large file goes in parts, which go on where they stopped.

import { Problem, call, credentials, get, path, query } from "./api.js";

const MIB = 1 << 20;
const WHOLE_MAX = 16 * MIB;
const PART_MIN = 8 * MIB;
const PARTS_MAX = 9000;
const FILES = 2;
const PARTS = 3;
const TRIES = 5;
const KEPT = "juststorage.uploads";

/** Everything that was given in this tab, oldest first. */
export const queue = [];

const changed = () => dispatchEvent(new Event("uploads"));

// What is under way, so that the same file goes on after the page was closed. Names and ids only, no credentials.
function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "{}");
  } catch {
    return {};
  }
}

function keep(item, upload) {
  const all = kept();
  const name = JSON.stringify([item.namespace, item.tenant, item.key, item.file.size, item.file.lastModified]);
  if (upload) all[name] = upload;
  else delete all[name];
  localStorage.setItem(KEPT, JSON.stringify(all));
}

function known(item) {
  return kept()[JSON.stringify([item.namespace, item.tenant, item.key, item.file.size, item.file.lastModified])];
}

/** Gives files to a space. `replace` lets them replace what has the same key. */
export function give(files, { namespace, tenant, prefix, replace }) {
  for (const { file, path: name } of files) {
    queue.push({ file, namespace, tenant, key: prefix + name, replace, sent: 0, state: "waiting", error: null, stop: null, upload: null });
  }
  changed();
  next();
}

/** Stops an item; it can go on later. */
export function pause(item) {
  item.state = "paused";
  item.stop?.abort();
  changed();
  next();
}

/** Goes on with an item that was stopped or failed. */
export function resume(item) {
  item.state = "waiting";
  item.error = null;
  changed();
  next();
}

/** Gives an item up, and its parts. */
export async function drop(item) {
  pause(item);
  queue.splice(queue.indexOf(item), 1);
  changed();
  if (!item.upload) return;
  keep(item, null);
  await call("DELETE", path("uploads", item.upload), { tenant: item.tenant }).catch(() => {
    // The server aborts unfinished uploads by itself.
  });
}

/** Forgets items that are done. */
export function tidy() {
  queue.splice(0, queue.length, ...queue.filter((item) => item.state !== "done"));
  changed();
}

/** Stops and forgets everything, also what could go on later: another user may sign in here. */
export function forget() {
  for (const item of queue.filter((one) => one.state !== "done")) pause(item);
  queue.length = 0;
  localStorage.removeItem(KEPT);
  changed();
}

function next() {
  const sending = queue.filter((item) => item.state === "sending").length;
  for (const item of queue.filter((one) => one.state === "waiting").slice(0, Math.max(FILES - sending, 0))) run(item);
}

async function run(item) {
  item.state = "sending";
  item.stop = new AbortController();
  changed();
  try {
    const single = item.file.size <= WHOLE_MAX && item.key !== "." && item.key !== "..";
    await (single ? whole(item) : in_parts(item));
    item.state = "done";
    item.sent = item.file.size;
    dispatchEvent(new CustomEvent("uploaded", { detail: item }));
  } catch (error) {
    if (item.state === "sending") {
      item.state = "failed";
      item.error = error;
    }
  }
  changed();
  next();
}

function unless_there(item) {
  return item.replace ? {} : { "If-None-Match": "*" };
}

// `fetch` tells nothing of how far an upload is.
function transmit(where, headers, body, signal, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", where);
    for (const [name, value] of Object.entries({ ...credentials(), ...headers })) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => progress(event.loaded));
    request.addEventListener("load", () => {
      if (request.status < 300) {
        resolve(request.responseText);
        return;
      }
      let said = {};
      try {
        said = JSON.parse(request.responseText);
      } catch {
        said = { detail: `the server answered ${request.status}` };
      }
      const problem = new Problem(request.status, said);
      problem.wait = Number(request.getResponseHeader("Retry-After")) || 0;
      reject(problem);
    });
    request.addEventListener("error", () => reject(new Problem(0, { detail: "the connection broke", code: "connection" })));
    request.addEventListener("abort", () => reject(new Problem(0, { detail: "stopped", code: "stopped" })));
    if (signal.aborted) {
      reject(new Problem(0, { detail: "stopped", code: "stopped" }));
      return;
    }
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  });
}

async function patiently(signal, work) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await work();
    } catch (error) {
      const passing = error.code === "connection" || error.status === 429 || error.status === 503 || error.status === 408;
      if (!passing || signal.aborted || error.code === "quota_exceeded" || tried === TRIES) throw error;
      await new Promise((go_on) => {
        setTimeout(go_on, Math.max(1000 * (error.wait ?? 0), 500 * 2 ** tried));
      });
    }
  }
}

async function sha256(blob) {
  if (!crypto.subtle) return {};
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
  return { "X-Content-SHA256": Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") };
}

async function whole(item) {
  const headers = { "Content-Type": item.file.type || "application/octet-stream", ...unless_there(item), ...(await sha256(item.file)) };
  const where = path("objects", "by-key", item.namespace, item.tenant, item.key);
  await patiently(item.stop.signal, () => transmit(where, headers, item.file, item.stop.signal, (sent) => {
    item.sent = Math.min(sent, item.file.size);
    changed();
  }));
}

async function parts_there(item) {
  const there = new Map();
  let cursor = null;
  do {
    const page = await get(path("uploads", item.upload) + query({ cursor }), { tenant: item.tenant });
    for (const part of page.parts) there.set(part.part_number, part.size_bytes);
    cursor = page.next_cursor;
  } while (cursor);
  return there;
}

async function in_parts(item) {
  const { signal } = item.stop;
  const size = Math.max(PART_MIN, Math.ceil(item.file.size / PARTS_MAX / MIB) * MIB);
  const total = Math.max(Math.ceil(item.file.size / size), 1);
  item.upload ??= known(item) ?? null;
  let there = new Map();
  if (item.upload) {
    try {
      there = await parts_there(item);
    } catch (error) {
      if (error.status !== 404) throw error;
      item.upload = null;
    }
  }
  if (!item.upload) {
    const json = { namespace: item.namespace, tenant: item.tenant, key: item.key, content_type: item.file.type || "application/octet-stream" };
    item.upload = (await call("POST", "/v1/uploads", { json })).id;
    keep(item, item.upload);
  }
  const slice = (number) => item.file.slice((number - 1) * size, number * size);
  const sent = new Map([...there].filter(([number, length]) => number <= total && length === slice(number).size));
  item.kept = sent.size;
  const missing = Array.from({ length: total }, (_, index) => index + 1).filter((number) => !sent.has(number));
  const count = () => {
    item.sent = [...sent.values()].reduce((sum, length) => sum + length, 0);
    changed();
  };
  count();
  const send_next = async () => {
    for (let number = missing.shift(); number !== undefined; number = missing.shift()) {
      const bytes = slice(number);
      const headers = { "X-Tenant": item.tenant, ...(await sha256(bytes)) };
      const where = path("uploads", item.upload, "parts", String(number));
      await patiently(signal, () => transmit(where, headers, bytes, signal, (loaded) => {
        sent.set(number, Math.min(loaded, bytes.size));
        count();
      }));
      sent.set(number, bytes.size);
      count();
    }
  };
  await Promise.all(Array.from({ length: PARTS }, send_next));
  await call("POST", path("uploads", item.upload, "complete"), { tenant: item.tenant, headers: unless_there(item) });
  keep(item, null);
}
