"""Every operation that botocore knows: what the S3 page offers is carried out or answered for what was sent, and
whatever else there is answers 501 with its name. A new botocore with a new operation fails here until somebody
decides about it."""

import os
import sys

import botocore.config
import botocore.session
from botocore.exceptions import ClientError

# Of docs/s3.md. The last ones are the old names under which SDKs keep two operations.
OFFERED = set("""
    ListBuckets CreateBucket HeadBucket DeleteBucket GetBucketLocation GetBucketVersioning PutBucketVersioning
    GetBucketCors PutBucketCors DeleteBucketCors GetBucketTagging PutBucketTagging DeleteBucketTagging
    GetBucketLifecycleConfiguration PutBucketLifecycleConfiguration DeleteBucketLifecycle
    GetBucketOwnershipControls PutBucketOwnershipControls DeleteBucketOwnershipControls
    GetPublicAccessBlock PutPublicAccessBlock DeletePublicAccessBlock
    GetBucketAcl PutBucketAcl GetObjectAcl PutObjectAcl GetObjectLockConfiguration PutObjectLockConfiguration
    PutObject GetObject HeadObject DeleteObject DeleteObjects CopyObject GetObjectAttributes
    GetObjectTagging PutObjectTagging DeleteObjectTagging
    GetObjectRetention PutObjectRetention GetObjectLegalHold PutObjectLegalHold
    ListObjects ListObjectsV2 ListObjectVersions
    CreateMultipartUpload UploadPart UploadPartCopy CompleteMultipartUpload AbortMultipartUpload
    ListParts ListMultipartUploads
    GetBucketPolicy PutBucketPolicy DeleteBucketPolicy GetBucketPolicyStatus GetBucketEncryption GetBucketWebsite GetBucketReplication GetBucketLogging
    GetBucketNotificationConfiguration GetBucketAccelerateConfiguration GetBucketRequestPayment
    PutBucketNotificationConfiguration
    GetBucketLifecycle PutBucketLifecycle GetBucketNotification PutBucketNotification
""".split())
# Old names of what is refused.
RENAMED = {}
BUCKET, KEY = "every-operation", "key"

session = botocore.session.get_session()
# What is sent matters, not whether it means anything.
client = session.create_client(
    "s3", endpoint_url=os.environ["S3_URL"], region_name=os.environ["AWS_REGION"],
    config=botocore.config.Config(
        s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, inject_host_prefix=False,
        parameter_validation=False,
    ),
)
methods = {operation: method for method, operation in client.meta.method_to_api_mapping.items()}


def filler(shape, name=""):
    """Something of a shape's type, with all that it requires."""
    known = {
        "Bucket": BUCKET, "Key": KEY, "CopySource": f"{BUCKET}/{KEY}", "RenameSource": f"{BUCKET}/{KEY}",
        # The others are refused by name.
        "ObjectOwnership": "BucketOwnerEnforced",
    }
    if name in known:
        return known[name]
    match shape.type_name:
        case "structure":
            return {member: filler(shape.members[member], member) for member in shape.required_members}
        case "list":
            return [filler(shape.member)]
        case "map":
            return {}
        case "integer" | "long":
            return 1
        case "boolean":
            return False
        case "timestamp":
            return "2030-01-01T00:00:00Z"
        case "blob":
            return b"x"
    return shape.enum[0] if shape.enum else "x"


def answer(operation):
    """Status, code and message; 200 when it was carried out."""
    arguments = filler(client.meta.service_model.operation_model(operation).input_shape)
    if operation == "ListDirectoryBuckets":
        # Asked of another host by SDKs; without its parameter it is ListBuckets to the byte.
        arguments["MaxDirectoryBuckets"] = 1
    if operation == "CreateBucket":
        arguments["Bucket"] = f"{BUCKET}-2"
    try:
        getattr(client, methods[operation])(**arguments)
    except ClientError as error:
        about = error.response
        return about["ResponseMetadata"]["HTTPStatusCode"], about["Error"]["Code"], about["Error"].get("Message", "")
    return 200, "", ""


wrong = []
client.create_bucket(Bucket=BUCKET)
client.put_object(Bucket=BUCKET, Key=KEY, Body=b"kept")
known = set(client.meta.service_model.operation_names)
wrong += [f"{name} is no operation" for name in OFFERED - known]
for operation in sorted(known - OFFERED):
    status, code, message = answer(operation)
    if (status, code) != (501, "NotImplemented") or RENAMED.get(operation, operation) not in message:
        wrong.append(f"{operation} is neither offered nor refused by name: {status} {code} {message}")
if client.get_object(Bucket=BUCKET, Key=KEY)["Body"].read() != b"kept":
    wrong.append("a refused operation changed the object")
for operation in sorted(OFFERED, key=lambda name: (name == "DeleteBucket", name)):
    status, code, message = answer(operation)
    # A 4xx is an answer to what was sent; which one is right, others test.
    if status == 501 or status >= 500 or code in ("MethodNotAllowed", "NotImplemented"):
        wrong.append(f"{operation} is offered: {status} {code} {message}")
if wrong:
    sys.exit("\n".join(wrong))
print(f"{len(known)} operations of botocore {botocore.__version__}")
