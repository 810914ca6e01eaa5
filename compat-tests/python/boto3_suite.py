"""boto3 against the S3 front: what a Python service does with a bucket."""

import base64
import hashlib
import io
import json
import os
import unittest
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import boto3
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

MIB = 1 << 20


def client(**settings):
    """A client as a service would make it, but for retries: a test wants to see the first answer."""
    config = Config(
        s3={"addressing_style": "path"},
        retries={"total_max_attempts": 1},
        max_pool_connections=32,
        # boto3 alone among current SDKs still presigns with version 2 unless it is told otherwise.
        **{"signature_version": "s3v4", **settings},
    )
    return boto3.client(
        "s3",
        endpoint_url=os.environ["JUSTSTORAGE_S3_URL"],
        region_name="us-east-1",
        aws_access_key_id="juststorage",
        aws_secret_access_key="juststorage",
        config=config,
    )


def content(seed, length):
    """`length` bytes that only this seed makes."""
    return hashlib.shake_128(str(seed).encode()).digest(length)


class Suite(unittest.TestCase):
    """Every case has a bucket of its own."""

    @classmethod
    def setUpClass(cls):
        cls.s3 = client()

    def setUp(self):
        self.bucket = self._testMethodName.replace("_", "-")[:60].strip("-")
        self.s3.create_bucket(Bucket=self.bucket)

    def put(self, key, body, **more):
        return self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)

    def get(self, key, **more):
        return self.s3.get_object(Bucket=self.bucket, Key=key, **more)["Body"].read()

    def head(self, key, **more):
        return self.s3.head_object(Bucket=self.bucket, Key=key, **more)

    def keys(self, **more):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, **more)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def refused(self, status, code, call, **arguments):
        with self.assertRaises(ClientError) as caught:
            call(**arguments)
        response = caught.exception.response
        self.assertEqual(response["ResponseMetadata"]["HTTPStatusCode"], status, response)
        if code:
            self.assertEqual(response["Error"]["Code"], code, response)
        return response


class Anonymous(Suite):
    def test_uploads_without_credentials_store_what_was_sent(self):
        # Over TLS they come in chunks, which only their Content-Encoding announces.
        everything = [f"arn:aws:s3:::{self.bucket}/*"]
        allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": everything}
        self.s3.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
        anonymous = client(signature_version=UNSIGNED)
        for algorithm in ("CRC32", "CRC64NVME", "SHA256"):
            for length in (0, 1, MIB + 1):
                body = content(f"{algorithm}{length}", length)
                for sent in (body, io.BytesIO(body)):
                    anonymous.put_object(Bucket=self.bucket, Key="k", Body=sent, ChecksumAlgorithm=algorithm)
                    self.assertEqual(self.get("k"), body)
                    self.assertNotIn("ContentEncoding", self.head("k"))
        parts = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
        body = content("parts", 11 * MIB)
        anonymous.upload_fileobj(io.BytesIO(body), self.bucket, "parts", Config=parts)
        self.assertEqual(self.get("parts"), body)


class Objects(Suite):
    def test_sizes_round_trip(self):
        for length in (0, 1, 5 * MIB, 100 * MIB):
            body = content(length, length)
            etag = self.put(f"size {length}", body)["ETag"]
            self.assertEqual(etag, f'"{hashlib.md5(body).hexdigest()}"')
            self.assertEqual(self.head(f"size {length}")["ContentLength"], length)
            self.assertTrue(self.get(f"size {length}") == body, f"{length} bytes differ")

    def test_ranges(self):
        body = content("range", 300_000)
        self.put("key", body)
        for text, start, end in (
            ("bytes=0-0", 0, 1),
            ("bytes=65535-65536", 65_535, 65_537),
            ("bytes=299999-", 299_999, 300_000),
            ("bytes=-7", 299_993, 300_000),
            ("bytes=200000-999999", 200_000, 300_000),
        ):
            # A checksum of the whole on a part of it fails the read (boto3 #4512).
            answer = self.s3.get_object(Bucket=self.bucket, Key="key", Range=text, ChecksumMode="ENABLED")
            self.assertEqual([name for name in answer if name.startswith("Checksum")], [])
            self.assertEqual(answer["ContentRange"], f"bytes {start}-{end - 1}/300000")
            self.assertEqual(answer["Body"].read(), body[start:end], text)
        self.refused(416, "InvalidRange", self.get, key="key", Range="bytes=300000-")

    def test_metadata(self):
        self.put(
            "key",
            b"hello",
            ContentType="text/plain",
            CacheControl="no-cache",
            ContentDisposition="inline",
            ContentLanguage="de, en",
            ContentEncoding="gzip",
            Metadata={"plain": "a b", "empty": ""},
            StorageClass="STANDARD_IA",
        )
        head = self.head("key")
        self.assertEqual(head["ContentType"], "text/plain")
        self.assertEqual(head["CacheControl"], "no-cache")
        self.assertEqual(head["ContentDisposition"], "inline")
        self.assertEqual(head["ContentLanguage"], "de, en")
        self.assertEqual(head["ContentEncoding"], "gzip")
        self.assertEqual(head["Metadata"], {"plain": "a b", "empty": ""})
        self.assertEqual(head["StorageClass"], "STANDARD_IA")
        self.put("glacier", b"x", StorageClass="GLACIER_IR")
        listed = self.s3.list_objects_v2(Bucket=self.bucket)["Contents"]
        # One cold tier stands behind both names; what matters is that it is never said to be STANDARD.
        self.assertTrue(all(item["StorageClass"] in ("STANDARD_IA", "GLACIER_IR") for item in listed), listed)
        self.refused(400, "InvalidStorageClass", self.put, key="no", body=b"", StorageClass="NO_SUCH_CLASS")

    def test_metadata_beyond_ascii(self):
        """boto3 refuses to send it, so it goes as S3 takes it: RFC 2047, and comes back so."""
        encoded = "=?UTF-8?B?" + base64.b64encode("größe 🦀".encode()).decode() + "?="
        self.put("key", b"x", Metadata={"name": encoded})
        import email.header

        text, charset = email.header.decode_header(self.head("key")["Metadata"]["name"])[0]
        self.assertEqual(text.decode(charset), "größe 🦀")
        copied = self.s3.copy_object(Bucket=self.bucket, Key="copy", CopySource={"Bucket": self.bucket, "Key": "key"})
        self.assertIn("ETag", copied["CopyObjectResult"])
        self.assertEqual(self.head("copy")["Metadata"], self.head("key")["Metadata"])

    def test_conditions(self):
        etag = self.put("key", b"one", IfNoneMatch="*")["ETag"]
        self.refused(412, "PreconditionFailed", self.put, key="key", body=b"two", IfNoneMatch="*")
        self.refused(412, "PreconditionFailed", self.put, key="key", body=b"two", IfMatch='"0"')
        self.refused(404, "NoSuchKey", self.put, key="none", body=b"two", IfMatch=etag)
        self.refused(304, None, self.get, key="key", IfNoneMatch=etag)
        self.refused(412, None, self.get, key="key", IfMatch='"0"')
        self.put("key", b"two", IfMatch=etag)
        self.assertEqual(self.get("key"), b"two")

    def test_copies(self):
        self.put("a b/ü+", b"hello", Metadata={"n": "1"}, ContentType="x/y")
        source = {"Bucket": self.bucket, "Key": "a b/ü+"}
        self.s3.copy_object(Bucket=self.bucket, Key="copy", CopySource=source)
        self.assertEqual((self.get("copy"), self.head("copy")["ContentType"]), (b"hello", "x/y"))
        self.s3.copy_object(
            Bucket=self.bucket, Key="new", CopySource=source, MetadataDirective="REPLACE", Metadata={"n": "2"}
        )
        self.assertEqual(self.head("new")["Metadata"], {"n": "2"})
        self.refused(
            404, "NoSuchKey", self.s3.copy_object, Bucket=self.bucket, Key="x", CopySource=f"{self.bucket}/none"
        )

    def test_presigned(self):
        key = "a key/ü+%2F"
        url = self.s3.generate_presigned_url("put_object", {"Bucket": self.bucket, "Key": key}, ExpiresIn=600)
        with urllib.request.urlopen(urllib.request.Request(url, data=b"hello", method="PUT")) as answer:
            self.assertEqual(answer.status, 200)
        url = self.s3.generate_presigned_url("get_object", {"Bucket": self.bucket, "Key": key}, ExpiresIn=600)
        with urllib.request.urlopen(url) as answer:
            self.assertEqual(answer.read(), b"hello")
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url.replace(self.bucket, "other-bucket"))
        self.assertEqual(caught.exception.code, 403)

    def test_presigned_with_version_2(self):
        """Off, and the refusal says so."""
        old = client(signature_version="s3")
        url = old.generate_presigned_url("get_object", {"Bucket": self.bucket, "Key": "key"}, ExpiresIn=600)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(url)
        self.assertIn(caught.exception.code, (400, 403))
        text = caught.exception.read().decode()
        self.assertIn("Signature Version 2", text)

    def test_delete_objects(self):
        for number in range(30):
            self.put(f"key {number:02}", b"x")
        names = [{"Key": f"key {number:02}"} for number in range(20)] + [{"Key": "never there"}]
        answer = self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": names})
        self.assertEqual((len(answer["Deleted"]), answer.get("Errors", [])), (21, []))
        self.assertEqual(len(self.keys()), 10)
        answer = self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": "key 20"}], "Quiet": True})
        self.assertNotIn("Deleted", answer)
        self.assertEqual(len(self.keys()), 9)

    def test_unknown_names(self):
        self.refused(404, "NoSuchKey", self.get, key="none")
        self.refused(404, None, self.head, key="none")
        self.refused(404, "NoSuchBucket", self.s3.list_objects_v2, Bucket="no-such-bucket")
        self.refused(404, "NoSuchBucket", self.s3.put_object, Bucket="no-such-bucket", Key="k", Body=b"")
        self.refused(404, None, self.s3.head_bucket, Bucket="no-such-bucket")
        # In us-east-1 making one's own bucket again is no error.
        self.s3.create_bucket(Bucket=self.bucket)
        self.assertEqual(self.s3.delete_object(Bucket=self.bucket, Key="none")["ResponseMetadata"]["HTTPStatusCode"], 204)


class Checksums(Suite):
    FIELDS = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32}

    def test_every_algorithm(self):
        body = content("checksum", 3 * MIB + 1)
        for algorithm in self.FIELDS:
            put = self.put(algorithm, body, ChecksumAlgorithm=algorithm)
            got = self.s3.get_object(Bucket=self.bucket, Key=algorithm, ChecksumMode="ENABLED")
            self.assertEqual(put[f"Checksum{algorithm}"], got[f"Checksum{algorithm}"])
            self.assertTrue(got["Body"].read() == body, algorithm)

    def test_of_a_stream(self):
        """A body of a file object is sent in chunks with the checksum behind it."""
        body = content("stream", 2 * MIB)
        self.s3.put_object(Bucket=self.bucket, Key="key", Body=io.BytesIO(body), ChecksumAlgorithm="CRC32")
        self.assertTrue(self.get("key", ChecksumMode="ENABLED") == body)
        self.assertNotIn("ContentEncoding", self.head("key"))

    def test_wrong_ones(self):
        for algorithm, length in self.FIELDS.items():
            wrong = {f"Checksum{algorithm}": base64.b64encode(bytes(length)).decode()}
            self.refused(400, "BadDigest", self.put, key="key", body=b"hello", **wrong)
        wrong = base64.b64encode(bytes(16)).decode()
        self.refused(400, "BadDigest", self.put, key="key", body=b"hello", ContentMD5=wrong)
        self.assertEqual(self.keys(), [])

    def test_right_md5(self):
        right = base64.b64encode(hashlib.md5(b"hello").digest()).decode()
        self.put("key", b"hello", ContentMD5=right)
        self.assertEqual(self.get("key"), b"hello")


class Listings(Suite):
    def test_five_thousand(self):
        names = sorted(f"dir{number % 25:02}/key {number:05}" for number in range(4990)) + [f"x{n}" for n in range(10)]
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda name: self.put(name, name.encode()), names))
        self.assertEqual(self.keys(), names)
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Delimiter="/", PaginationConfig={"PageSize": 4}
        )
        prefixes, keys = [], []
        for page in pages:
            prefixes += [item["Prefix"] for item in page.get("CommonPrefixes", [])]
            keys += [item["Key"] for item in page.get("Contents", [])]
        self.assertEqual(prefixes, [f"dir{number:02}/" for number in range(25)])
        self.assertEqual(keys, [f"x{number}" for number in range(10)])
        old = self.s3.get_paginator("list_objects").paginate(Bucket=self.bucket, Prefix="dir0")
        self.assertEqual([i["Key"] for p in old for i in p["Contents"]], [n for n in names if n.startswith("dir0")])
        owners = self.s3.list_objects_v2(Bucket=self.bucket, MaxKeys=1, FetchOwner=True)
        self.assertIn("Owner", owners["Contents"][0])

    def test_awkward_keys(self):
        names = [
            "a+b", "a%2Fb", "%2F", "a//b", "//", "/", "..", "a/../b", ".", " ", " a ", "a@b=c&d", "a?b#c", "ü/日本/🦀",
            "'\"`", "\\", "<&>", "a\tb", "~*()[]{}|^$", "x" * 1024, "é" * 512,
        ]
        for name in names:
            self.put(name, name.encode())
        for name in names:
            self.assertEqual(self.get(name), name.encode(), name)
        self.assertEqual(self.keys(), sorted(names, key=lambda name: name.encode()))
        self.refused(400, "KeyTooLongError", self.put, key="x" * 1025, body=b"")
        answer = self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": name} for name in names]})
        self.assertEqual(answer.get("Errors", []), [])
        self.assertEqual(self.keys(), [])


class Multipart(Suite):
    def begin(self, key="key", **more):
        return self.s3.create_multipart_upload(Bucket=self.bucket, Key=key, **more)["UploadId"]

    def part(self, upload, number, body, key="key"):
        answer = self.s3.upload_part(Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": answer["ChecksumCRC32"]}

    def complete(self, upload, parts, key="key", **more):
        return self.s3.complete_multipart_upload(
            Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **more
        )

    def test_odd_parts(self):
        body = content("parts", 64 * MIB)
        cuts = [0, 5 * MIB + 1, 10 * MIB + 12_345, 27 * MIB + 1, 50 * MIB, 64 * MIB]
        upload = self.begin(ChecksumAlgorithm="CRC32", Metadata={"n": "1"}, StorageClass="STANDARD_IA")
        pieces = [body[start:end] for start, end in zip(cuts, cuts[1:])]
        parts = [self.part(upload, number, piece) for number, piece in enumerate(pieces, 1)]
        etag = self.complete(upload, parts)["ETag"]
        digests = b"".join(hashlib.md5(piece).digest() for piece in pieces)
        self.assertEqual(etag, f'"{hashlib.md5(digests).hexdigest()}-5"')
        self.assertTrue(self.get("key") == body)
        self.assertEqual(self.head("key")["StorageClass"], "STANDARD_IA")
        seam = 10 * MIB + 12_345
        self.assertEqual(self.get("key", Range=f"bytes={seam - 9}-{seam + 9}"), body[seam - 9 : seam + 10])

    def test_transfer_manager(self):
        """upload_fileobj and download_fileobj: threads, parts and checksums as the SDK chooses them."""
        body = content("managed", 21 * MIB + 7)
        config = TransferConfig(multipart_threshold=6 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
        self.s3.upload_fileobj(io.BytesIO(body), self.bucket, "key", Config=config)
        target = io.BytesIO()
        self.s3.download_fileobj(self.bucket, "key", target, Config=config)
        self.assertTrue(target.getvalue() == body)
        self.s3.copy({"Bucket": self.bucket, "Key": "key"}, self.bucket, "copy", Config=config)
        self.assertTrue(self.get("copy") == body)

    def test_lists_and_abort(self):
        upload = self.begin()
        for number in (1, 2, 4):
            self.part(upload, number, content(number, 100 + number))
        parts = self.s3.get_paginator("list_parts").paginate(
            Bucket=self.bucket, Key="key", UploadId=upload, PaginationConfig={"PageSize": 2}
        )
        self.assertEqual([(p["PartNumber"], p["Size"]) for page in parts for p in page["Parts"]], [(1, 101), (2, 102), (4, 104)])
        uploads = self.s3.list_multipart_uploads(Bucket=self.bucket)["Uploads"]
        self.assertEqual([(item["Key"], item["UploadId"]) for item in uploads], [("key", upload)])
        self.s3.abort_multipart_upload(Bucket=self.bucket, Key="key", UploadId=upload)
        self.assertNotIn("Uploads", self.s3.list_multipart_uploads(Bucket=self.bucket))
        self.refused(404, "NoSuchUpload", self.part, upload=upload, number=1, body=b"x")

    def test_part_copy(self):
        body = content("source", 8 * MIB)
        self.put("source", body)
        upload = self.begin()
        copied = self.s3.upload_part_copy(
            Bucket=self.bucket,
            Key="key",
            UploadId=upload,
            PartNumber=1,
            CopySource={"Bucket": self.bucket, "Key": "source"},
            CopySourceRange=f"bytes=3-{6 * MIB}",
        )
        parts = [{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}, self.part(upload, 2, b"tail")]
        parts[1].pop("ChecksumCRC32")
        self.complete(upload, parts)
        self.assertTrue(self.get("key") == body[3 : 6 * MIB + 1] + b"tail")

    def test_refusals(self):
        upload = self.begin()
        parts = [self.part(upload, number, content(number, 1000)) for number in (1, 2)]
        self.refused(400, "EntityTooSmall", self.complete, upload=upload, parts=parts)
        self.refused(400, "InvalidPartOrder", self.complete, upload=upload, parts=parts[::-1])
        forged = [{"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}]
        self.refused(400, "InvalidPart", self.complete, upload=upload, parts=forged)
        self.refused(400, "InvalidPart", self.complete, upload=upload, parts=[{**parts[0], "PartNumber": 9}])
        self.refused(404, "NoSuchUpload", self.complete, upload="no-such-upload", parts=parts)
        self.refused(404, "NoSuchUpload", self.complete, upload=upload, parts=parts, key="other")
        self.assertEqual(self.keys(), [])
        self.complete(upload, parts[1:])
        self.assertEqual(self.keys(), ["key"])


class OtherWaysToSign(Suite):
    def test_signed_payload(self):
        """As a client with payload signing on, which hashes the whole body first."""
        config = {"s3": {"addressing_style": "path", "payload_signing_enabled": True}}
        signing = boto3.client(
            "s3",
            endpoint_url=os.environ["JUSTSTORAGE_S3_URL"],
            region_name="eu-central-1",
            aws_access_key_id="juststorage",
            aws_secret_access_key="juststorage",
            config=Config(**config, request_checksum_calculation="when_required"),
        )
        signing.put_object(Bucket=self.bucket, Key="key", Body=b"hello")
        self.assertEqual(self.get("key"), b"hello")

    def test_without_default_checksums(self):
        """As clients from before January 2025."""
        old = client(request_checksum_calculation="when_required", response_checksum_validation="when_required")
        old.put_object(Bucket=self.bucket, Key="key", Body=b"hello")
        self.assertEqual(old.get_object(Bucket=self.bucket, Key="key")["Body"].read(), b"hello")

    def test_not_offered(self):
        """A sub-resource that is not offered is refused by name and never runs as the plain operation."""
        self.put("key", b"hello")
        self.refused(501, "NotImplemented", self.s3.get_object_torrent, Bucket=self.bucket, Key="key")
        self.refused(
            501, "NotImplemented", self.s3.restore_object, Bucket=self.bucket, Key="key", RestoreRequest={"Days": 1}
        )
        self.assertEqual(self.get("key"), b"hello")


if __name__ == "__main__":
    unittest.main(verbosity=2)
