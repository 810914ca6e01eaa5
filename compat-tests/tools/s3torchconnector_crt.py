"""s3torchconnector's client, which is mountpoint's over the CRT: it reads in parallel ranges."""

import os

import boto_free
from s3torchconnectorclient._mountpoint_s3_client import MountpointS3Client

boto_free.make_bucket("torch")
client = MountpointS3Client(
    region=os.environ["AWS_REGION"], endpoint=os.environ["S3_URL"], force_path_style=True, part_size=5 << 20,
)
large = os.urandom(12_000_000)
# The empty one is read by the size that the refusal of its first range tells.
CONTENTS = (("large", large), ("small", b"hello"), ("empty", b""))
for key, content in CONTENTS:
    stream = client.put_object("torch", key)
    stream.write(content)
    stream.close()
for key, content in CONTENTS:
    assert b"".join(client.get_object("torch", key)) == content, key
    assert client.head_object("torch", key).size == len(content)
assert b"".join(client.get_object("torch", "large", start=6_000_000, end=6_000_010)) == large[6_000_000:6_000_010]
listed = [info.key for page in client.list_objects("torch") for info in page.object_info]
assert listed == ["empty", "large", "small"], listed
client.copy_object("torch", "small", "torch", "copied")
client.delete_object("torch", "small")
assert b"".join(client.get_object("torch", "copied")) == b"hello"
