// A client of openapi-fetch, with the types that openapi-typescript generated, moves bytes through the server at NATIVE_URL.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const { NATIVE_URL, TOKEN } = process.env;
const [SPACE, TENANT, KEY] = ["generated-typescript", "default", "docs/ä b%2F?.bin"];
const BYTES = new Uint8Array(1 << 20).map((_, index) => index % 251);
const client = createClient<paths>({ baseUrl: NATIVE_URL, headers: { Authorization: `Bearer ${TOKEN}` } });
const path = { namespace: SPACE, tenant: TENANT, key: KEY };
const BY_KEY = "/v1/objects/by-key/{namespace}/{tenant}/{key}";

/** Bytes go as they are, everything else as JSON. */
const bodySerializer = (body: unknown) => (body instanceof Blob ? body : JSON.stringify(body));
const binary = { "Content-Type": "application/octet-stream" };
const id_of = (id: string) => ({ path: { id }, header: { "X-Tenant": TENANT } });

function refused(problem: components["schemas"]["Problem"] | undefined, status: number, code: string) {
  assert.equal(problem?.status, status);
  assert.equal(problem?.code, code);
}

async function same(bytes: Blob | undefined, expected: Uint8Array) {
  assert.ok(bytes && Buffer.from(await bytes.arrayBuffer()).equals(expected));
}

async function put(bytes: BlobPart, conditions: { "If-Match"?: string; "If-None-Match"?: string }, more = {}) {
  return client.PUT(BY_KEY, {
    params: { path, header: conditions },
    headers: { ...binary, ...more },
    body: new Blob([bytes]),
    bodySerializer,
  });
}

const made = (await put(BYTES, { "If-None-Match": "*" }, { "X-Meta-Owner": "me" })).data;
assert.ok(made);
assert.deepEqual([made.size_bytes, made.key, made.metadata.owner], [BYTES.length, KEY, "me"]);

const query = { namespace: SPACE, tenant: TENANT, prefix: "docs/", limit: 10 };
const listed = (await client.GET("/v1/objects", { params: { query } })).data;
assert.deepEqual(listed?.objects.map(({ key, etag }) => [key, etag]), [[KEY, made.etag]]);
assert.equal(listed?.next_cursor, null);

await same((await client.GET(BY_KEY, { params: { path }, parseAs: "blob" })).data, BYTES);
const part = await client.GET(BY_KEY, { params: { path, header: { Range: "bytes=250-260" } }, parseAs: "blob" });
assert.equal(part.response.status, 206);
await same(part.data, BYTES.slice(250, 261));
await same((await client.GET("/v1/objects/{id}", { params: id_of(made.id), parseAs: "blob" })).data, BYTES);

const body = { metadata: { owner: null, team: "search" } };
const patched = (await client.PATCH("/v1/objects/{id}", { params: id_of(made.id), body })).data;
assert.deepEqual(patched?.metadata, { team: "search" });

refused((await put("late", { "If-None-Match": "*" })).error, 412, "precondition_failed");
assert.equal((await put("new", { "If-Match": made.etag })).data?.size_bytes, 3);
refused((await put("older", { "If-Match": made.etag })).error, 412, "precondition_failed");

const upload = (await client.POST("/v1/uploads", { body: { namespace: SPACE, tenant: TENANT, key: "parts.bin" } })).data;
assert.ok(upload);
const number = { path: { id: upload.id, number: 1 }, header: { "X-Tenant": TENANT } };
const sent = (await client.PUT("/v1/uploads/{id}/parts/{number}", {
  params: number,
  headers: binary,
  body: new Blob([BYTES]),
  bodySerializer,
})).data;
assert.ok(sent);
const whole = (await client.POST("/v1/uploads/{id}/complete", {
  params: id_of(upload.id),
  body: { parts: [{ part_number: 1, etag: sent.etag }] },
})).data;
assert.equal(whole?.size_bytes, BYTES.length);

assert.equal((await client.DELETE(BY_KEY, { params: { path } })).response.status, 204);
refused((await client.GET(BY_KEY, { params: { path }, parseAs: "blob" })).error, 404, "object_not_found");
const anybody = createClient<paths>({ baseUrl: NATIVE_URL, headers: { Authorization: "Bearer nothing" } });
refused((await anybody.GET("/v1/objects", { params: { query } })).error, 401, "unauthenticated");
assert.equal((await client.GET("/v1/admin/whoami")).data?.tenant, TENANT);
console.log("typescript: bytes went both ways");
