// The AWS SDK for JavaScript v2, which puts headers into the query of the URLs that it signs.
"use strict";
process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = "1";
const assert = require("node:assert/strict");
const http = require("node:http");
const AWS = require("aws-sdk");

const s3 = new AWS.S3({
  endpoint: process.env.S3_URL, s3ForcePathStyle: true, signatureVersion: "v4", region: process.env.AWS_REGION, maxRetries: 0,
});
const Bucket = "sdk-js-v2";

/** Sends a request whose headers are exactly these. */
function send(method, url, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers: { ...headers, "Content-Length": Buffer.byteLength(body) } }, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks).toString() }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function main() {
  await s3.createBucket({ Bucket }).promise();

  // ContentType, CacheControl and the like are query keys of the URL, and are not sent as headers.
  const signed = s3.getSignedUrl("putObject", {
    Bucket, Key: "dir/a b+c.txt", ContentType: "text/x-said", CacheControl: "max-age=7", ContentDisposition: "inline",
    ContentLanguage: "de", Metadata: { colour: "red" }, Expires: 600,
  });
  // These two it leaves to the user of the URL.
  const put = await send("PUT", signed, "hello", { "Content-Disposition": "inline", "Content-Language": "de" });
  assert.equal(put.status, 200, put.body);
  const head = await s3.headObject({ Bucket, Key: "dir/a b+c.txt" }).promise();
  assert.equal(head.ContentType, "text/x-said");
  assert.equal(head.CacheControl, "max-age=7");
  assert.equal(head.ContentDisposition, "inline");
  assert.equal(head.ContentLanguage, "de");
  assert.deepEqual(head.Metadata, { colour: "red" });

  const digest = require("node:crypto").createHash("md5").update("other").digest("base64");
  const checked = s3.getSignedUrl("putObject", { Bucket, Key: "checked", ContentMD5: digest });
  assert.equal((await send("PUT", checked, "wrong")).status, 400);
  assert.equal((await send("PUT", checked, "other")).status, 200);

  const got = await send("GET", s3.getSignedUrl("getObject", { Bucket, Key: "checked", ResponseContentType: "text/y" }), "");
  assert.equal(got.body, "other");
  assert.equal(got.headers["content-type"], "text/y");

  const large = require("node:crypto").randomBytes(12_000_000);
  await s3.upload({ Bucket, Key: "large", Body: large }, { partSize: 5 << 20 }).promise();
  const read = await s3.getObject({ Bucket, Key: "large" }).promise();
  assert.ok(read.Body.equals(large));
  const listed = await s3.listObjects({ Bucket }).promise();
  assert.deepEqual(listed.Contents.map((object) => object.Key), ["checked", "dir/a b+c.txt", "large"]);
  await s3.deleteObjects({ Bucket, Delete: { Objects: listed.Contents.map(({ Key }) => ({ Key })) } }).promise();
  await s3.deleteBucket({ Bucket }).promise();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
