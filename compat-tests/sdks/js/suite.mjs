// The AWS SDK for JavaScript v3 against the S3 front, as a service uses it.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import * as s3sdk from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { createPresignedPost } from "@aws-sdk/s3-presigned-post";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const MIB = 1 << 20;
const Bucket = "sdk-js";
const s3 = new s3sdk.S3Client({
    endpoint: process.env.S3_URL,
    // Any region may be signed for.
    region: "eu-west-3",
    forcePathStyle: true,
    // The first answer is what is tested.
    maxAttempts: 1,
});
const send = (name, input) => s3.send(new s3sdk[`${name}Command`]({ Bucket, ...input }));
const bytes = (length, seed) => createHash("shake128", { outputLength: length }).update(seed).digest();
const read = async (input) => Buffer.from(await (await send("GetObject", input)).Body.transformToByteArray());

async function refused(status, code, promise) {
    const error = await promise.then(() => assert.fail(`${code} expected`), (error) => error);
    assert.equal(error.$metadata?.httpStatusCode, status, error);
    assert.equal(error.name, code);
    assert.ok(error.$metadata.requestId, "every answer has an id");
}

const cases = {
    async "checksums by default, in a trailer for streams"() {
        const body = bytes(3 * MIB + 1, "stream");
        const put = await send("PutObject", { Key: "plain", Body: body });
        assert.ok(put.ChecksumCRC32, "CRC32 is the default");
        assert.equal(put.ETag, `"${createHash("md5").update(body).digest("hex")}"`);
        // Announced as aws-chunked: that token is no encoding of the object.
        await send("PutObject", { Key: "stream", Body: Readable.from([body]), ContentLength: body.length, ContentEncoding: "gzip" });
        const head = await send("HeadObject", { Key: "stream", ChecksumMode: "ENABLED" });
        assert.equal(head.ContentEncoding, "gzip");
        assert.equal(head.ChecksumCRC32, put.ChecksumCRC32);
        assert.ok((await read({ Key: "stream" })).equals(body));
        for (const algorithm of ["CRC32C", "SHA1", "SHA256"]) {
            const put = await send("PutObject", { Key: algorithm, Body: body, ChecksumAlgorithm: algorithm });
            assert.ok(put[`Checksum${algorithm}`], algorithm);
        }
        await refused(400, "BadDigest", send("PutObject", { Key: "bad", Body: body, ChecksumCRC32: "AAAAAA==" }));
    },

    async "a range carries no checksum of the whole"() {
        const body = bytes(300_000, "range");
        await send("PutObject", { Key: "range", Body: body });
        const part = await send("GetObject", { Key: "range", Range: "bytes=1000-1999", ChecksumMode: "ENABLED" });
        assert.equal(part.ChecksumCRC32, undefined);
        assert.ok(Buffer.from(await part.Body.transformToByteArray()).equals(body.subarray(1000, 2000)));
    },

    async "managed uploads in parts"() {
        const body = bytes(17 * MIB + 5, "parts");
        const upload = new Upload({ client: s3, params: { Bucket, Key: "parts", Body: Readable.from([body]) }, partSize: 5 * MIB });
        const done = await upload.done();
        assert.match(done.ETag, /-4"$/);
        assert.ok((await read({ Key: "parts" })).equals(body));
        const second = await send("GetObject", { Key: "parts", PartNumber: 2 });
        assert.equal(second.PartsCount, 4);
        assert.ok(Buffer.from(await second.Body.transformToByteArray()).equals(body.subarray(5 * MIB, 10 * MIB)));
        const attributes = await send("GetObjectAttributes", { Key: "parts", ObjectAttributes: ["ObjectParts", "Checksum", "ObjectSize"] });
        assert.equal(attributes.ObjectSize, body.length);
        assert.equal(attributes.ObjectParts.TotalPartsCount, 4);
    },

    async "DeleteObjects with nothing but a checksum"() {
        const names = ["d/1", "d/2", "d/a+b%2F"];
        for (const Key of names) await send("PutObject", { Key, Body: "x" });
        const objects = [...names, "d/never"].map((Key) => ({ Key }));
        const answer = await send("DeleteObjects", { Delete: { Objects: objects } });
        assert.equal(answer.Deleted.length, 4);
        await refused(404, "NoSuchKey", send("GetObject", { Key: "d/1" }));
        // HEAD has no body to name a code in.
        await refused(404, "NotFound", send("HeadObject", { Key: "d/1" }));
    },

    async "pages, prefixes and an empty delimiter"() {
        const names = ["l/a/1", "l/a/2", "l/b/1", "l/c", "l/d"];
        for (const Key of names) await send("PutObject", { Key, Body: "" });
        const found = [];
        const pages = s3sdk.paginateListObjectsV2({ client: s3, pageSize: 1 }, { Bucket, Prefix: "l/", Delimiter: "/" });
        for await (const page of pages) {
            found.push(...(page.CommonPrefixes ?? []).map((each) => each.Prefix), ...(page.Contents ?? []).map((each) => each.Key));
        }
        assert.deepEqual(found, ["l/a/", "l/b/", "l/c", "l/d"]);
        const all = await send("ListObjectsV2", { Prefix: "l/", Delimiter: "" });
        assert.deepEqual(all.Contents.map((each) => each.Key), names);
        const none = await send("ListObjectsV2", { Prefix: "l/", MaxKeys: 0 });
        assert.equal(none.IsTruncated, false);
        const first = await send("ListObjects", { Prefix: "l/", MaxKeys: 2 });
        assert.equal(first.NextMarker, "l/a/2");
    },

    async "keys stay as they are"() {
        for (const Key of ["k/a+b", "k/a%2Fb", "k//x", "k/..", "k/ü 日本", "k/a@b=c&d", "k/'*~!()"]) {
            await send("PutObject", { Key, Body: Key });
            assert.equal((await read({ Key })).toString(), Key);
        }
    },

    async "conditions"() {
        await refused(404, "NoSuchKey", send("PutObject", { Key: "c", Body: "1", IfMatch: '"0"' }));
        const put = await send("PutObject", { Key: "c", Body: "1", IfNoneMatch: "*" });
        await refused(412, "PreconditionFailed", send("PutObject", { Key: "c", Body: "2", IfNoneMatch: "*" }));
        await send("PutObject", { Key: "c", Body: "2", IfMatch: put.ETag });
        await refused(412, "PreconditionFailed", send("DeleteObject", { Key: "c", IfMatch: put.ETag }));
    },

    async "presigned URLs and forms"() {
        const url = await getSignedUrl(s3, new s3sdk.PutObjectCommand({ Bucket, Key: "signed" }), { expiresIn: 60 });
        assert.equal((await fetch(url, { method: "PUT", body: "signed" })).status, 200);
        // Whoever holds the URL adds a header that was not signed: refused.
        const more = await fetch(url, { method: "PUT", body: "x", headers: { "x-amz-copy-source": `${Bucket}/plain` } });
        assert.equal(more.status, 403);
        assert.equal((await read({ Key: "signed" })).toString(), "signed");
        const { url: action, fields } = await createPresignedPost(s3, {
            Bucket, Key: "form/${filename}", Conditions: [["content-length-range", 1, 100]], Fields: { "Content-Type": "text/plain" },
        });
        const form = new FormData();
        for (const [name, value] of Object.entries(fields)) form.append(name, value);
        form.append("file", new Blob(["posted"]), "a.txt");
        assert.equal((await fetch(action, { method: "POST", body: form })).status, 204);
        assert.equal((await read({ Key: "form/a.txt" })).toString(), "posted");
    },

    async "what is not offered is refused by name"() {
        await refused(501, "NotImplemented", send("RenameObject", { Key: "renamed", RenameSource: `${Bucket}/plain` }));
        const WebsiteConfiguration = { IndexDocument: { Suffix: "index.html" } };
        await refused(501, "NotImplemented", send("PutBucketWebsite", { WebsiteConfiguration }));
    },

    async "a bucket policy is taken, or refused with its error"() {
        await refused(400, "MalformedPolicy", send("PutBucketPolicy", { Policy: "{}" }));
        await refused(404, "NoSuchBucketPolicy", send("GetBucketPolicy", {}));
        const Statement = [{ Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: `arn:aws:s3:::${Bucket}/plain` }];
        await send("PutBucketPolicy", { Policy: JSON.stringify({ Version: "2012-10-17", Statement }) });
        assert.equal(JSON.parse((await send("GetBucketPolicy", {})).Policy).Statement.length, 1);
        assert.equal((await send("GetBucketPolicyStatus", {})).PolicyStatus.IsPublic, true);
        await send("DeleteBucketPolicy", {});
    },
};

await send("CreateBucket", { CreateBucketConfiguration: { LocationConstraint: "eu-west-3" } });
for (const [name, run] of Object.entries(cases)) {
    await run();
    console.log(`ok: ${name}`);
}
s3.destroy();
