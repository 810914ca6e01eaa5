"""boto3 of November 2023: bodies hashed and signed over HTTP, unsigned over TLS, and no checksum of its own."""

import hashlib
import io
import os
import sys
import urllib.request

import boto3
import botocore
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

MIB = 1 << 20
BUCKET = "of-2023"
assert botocore.__version__.startswith("1.31."), botocore.__version__


def client(**more):
    return boto3.client(
        "s3", endpoint_url=os.environ["S3_URL"], region_name="us-east-1", verify=os.environ["S3_CA"],
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, **more),
    )


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return
    sys.exit(f"{code} expected")


s3 = client(signature_version="s3v4")
s3.create_bucket(Bucket=BUCKET)
body = hashlib.shake_128(b"body").digest(17 * MIB + 5)

put = s3.put_object(Bucket=BUCKET, Key="a b/ü+%2F", Body=body[:MIB])
assert put["ETag"] == f'"{hashlib.md5(body[:MIB]).hexdigest()}"'
# A server of today computes one anyway; a client of then is not shown it unasked.
got = s3.get_object(Bucket=BUCKET, Key="a b/ü+%2F")
assert got["Body"].read() == body[:MIB] and "ChecksumCRC64NVME" not in got
s3.put_object(Bucket=BUCKET, Key="sum", Body=io.BytesIO(body), ChecksumAlgorithm="SHA256")
assert s3.head_object(Bucket=BUCKET, Key="sum", ChecksumMode="ENABLED")["ChecksumSHA256"]

parts = TransferConfig(multipart_threshold=6 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
s3.upload_fileobj(io.BytesIO(body), BUCKET, "parts", Config=parts)
into = io.BytesIO()
s3.download_fileobj(BUCKET, "parts", into, Config=parts)
assert into.getvalue() == body
s3.copy({"Bucket": BUCKET, "Key": "parts"}, BUCKET, "copy", Config=parts)
assert s3.head_object(Bucket=BUCKET, Key="copy")["ContentLength"] == len(body)

for name in ("l/a/1", "l/a/2", "l/b/1", "l/c"):
    s3.put_object(Bucket=BUCKET, Key=name, Body=b"")
for operation in ("list_objects", "list_objects_v2"):
    pages = s3.get_paginator(operation).paginate(
        Bucket=BUCKET, Prefix="l/", Delimiter="/", PaginationConfig={"PageSize": 1}
    )
    found = [each for page in pages for each in page.get("CommonPrefixes", []) + page.get("Contents", [])]
    assert [each.get("Prefix", each.get("Key")) for each in found] == ["l/a/", "l/b/", "l/c"], (operation, found)

refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="none")
refused("404", s3.head_object, Bucket=BUCKET, Key="none")
gone = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "l/a/1"}, {"Key": "none"}]})
assert len(gone["Deleted"]) == 2 and "Errors" not in gone
url = s3.generate_presigned_post(BUCKET, "form/${filename}")
assert set(url["fields"]) >= {"policy", "x-amz-signature"}
os.environ["SSL_CERT_FILE"] = os.environ["S3_CA"]
url = s3.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "signed"})
with urllib.request.urlopen(urllib.request.Request(url, data=b"signed", method="PUT")) as answer:
    assert answer.status == 200
assert s3.get_object(Bucket=BUCKET, Key="signed")["Body"].read() == b"signed"
# Unless told otherwise it presigns with version 2, which is off; the refusal says how to turn it on.
try:
    urllib.request.urlopen(client().generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "signed"}))
    sys.exit("a presigned URL of version 2 was taken")
except urllib.error.HTTPError as error:
    assert "Signature Version 2" in error.read().decode()
print("ok")
