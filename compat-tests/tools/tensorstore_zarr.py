"""TensorStore: a zarr array over its S3 driver, whose every write is conditional (`If-Match: ""` for a new key)."""

import os

import boto_free
import numpy
import tensorstore

boto_free.make_bucket("tensors")
spec = {
    "driver": "zarr",
    "kvstore": {
        "driver": "s3", "bucket": "tensors", "path": "volume/", "endpoint": os.environ["S3_URL"],
        "aws_region": os.environ["AWS_REGION"], "aws_credentials": {"type": "environment"},
    },
    "metadata": {"shape": [300, 400], "chunks": [100, 100], "dtype": "<i4"},
}
written = numpy.arange(120_000, dtype="<i4").reshape(300, 400)
volume = tensorstore.open(spec, create=True, delete_existing=True).result()
volume.write(written).result()
assert (tensorstore.open(spec, open=True).result().read().result() == written).all()
# A part of a chunk is read, changed and swapped.
volume[150, 250] = 7
assert tensorstore.open(spec, open=True).result()[150, 250].read().result() == 7

store = tensorstore.KvStore.open(spec["kvstore"]).result()
first = store.write("swapped", b"one").result()
second = store.write("swapped", b"two", if_equal=first.generation).result()
assert store["swapped"] == b"two"
# Of the state before nothing is left to be swapped.
store.write("swapped", b"late", if_equal=first.generation).result()
assert store["swapped"] == b"two", "a write took the place of one that it did not know"
store.write("swapped", b"three", if_equal=second.generation).result()
assert store["swapped"] == b"three"
store.delete_range(tensorstore.KvStore.KeyRange("", "")).result()
assert store.list().result() == []
