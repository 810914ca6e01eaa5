// Calls of the native API, and who makes them.

const KEPT = "juststorage.token";

/** Who is signed in, as the server says; null before that. */
export const session = { token: null, who: null };

/** A refusal of the server. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? `the server answered ${status}`);
    this.status = status;
    this.code = body.code ?? "unknown";
    this.field = body.field;
    this.request_id = body.request_id;
  }
}

/** Takes a token, and keeps it in this tab if asked. */
export function sign_in(token, keep) {
  session.token = token || null;
  if (token && keep) sessionStorage.setItem(KEPT, token);
  else sessionStorage.removeItem(KEPT);
}

/** Forgets everything. */
export function sign_out() {
  sign_in(null);
  session.who = null;
}

/** The token that this tab kept. */
export function remember() {
  session.token = sessionStorage.getItem(KEPT);
}

/** Headers of the caller. */
export function credentials() {
  return session.token ? { Authorization: `Bearer ${session.token}` } : {};
}

/** A header's value from text: the server reads UTF-8, `fetch` takes bytes. */
export function header_text(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

/** A query from what is given. */
export function query(values) {
  const kept = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return kept.length ? `?${new URLSearchParams(kept)}` : "";
}

/** One path from its parts, each escaped. */
export function path(...parts) {
  return `/v1/${parts.map(encodeURIComponent).join("/")}`;
}

async function problem_of(answer) {
  let body = {};
  try {
    body = await answer.json();
  } catch {
    body = { detail: answer.statusText || `the server answered ${answer.status}` };
  }
  return new Problem(answer.status, body);
}

/** One call; the raw answer. `tenant` goes into X-Tenant, `json` becomes the body. */
export async function send(method, where, { tenant, json, headers = {}, body, signal } = {}) {
  const all = { ...credentials(), ...headers };
  if (tenant) all["X-Tenant"] = tenant;
  else if (method === "POST" && json === undefined && session.who?.tenant) all["X-Tenant"] = session.who.tenant;
  if (json !== undefined) all["Content-Type"] = "application/json";
  const answer = await fetch(where, {
    method,
    headers: all,
    body: json === undefined ? body : JSON.stringify(json),
    credentials: "omit",
    cache: "no-store",
    referrerPolicy: "no-referrer",
    signal,
  });
  if (!answer.ok) {
    const problem = await problem_of(answer);
    if (problem.status === 401) dispatchEvent(new CustomEvent("signed-out", { detail: problem }));
    throw problem;
  }
  return answer;
}

/** One call; its JSON, or null where there is none. */
export async function call(method, where, options) {
  const answer = await send(method, where, options);
  return answer.status === 204 ? null : answer.json();
}

/** `GET`. */
export function get(where, options) {
  return call("GET", where, options);
}

/** Asks who the caller is. */
export async function who_am_i() {
  session.who = await get("/v1/admin/whoami");
  return session.who;
}

/** The address of S3, as far as the server can tell: where it listens on every address, it is the host of this page. */
export function s3_address() {
  const s3 = session.who?.s3;
  if (!s3) return null;
  return s3.url ?? `${s3.tls ? "https" : "http"}://${location.hostname}:${s3.port}`;
}

/** Whether the caller may do this. */
export function may(what) {
  return Boolean(session.who?.may?.[what]);
}

/** Whether the caller administers anything. */
export function manages() {
  return may("administer") || may("operate");
}

/** The answer of a call that may be missing or forbidden: null then. */
export async function if_there(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error.status === 404 || error.status === 403 || error.status === 405) return null;
    throw error;
  }
}
