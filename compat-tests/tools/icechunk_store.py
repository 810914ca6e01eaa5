"""icechunk and zarr: transactions that rest on conditional writes, and readers of a branch."""

import os

import boto_free
import icechunk
import numpy
import zarr

boto_free.make_bucket("ice")
storage = icechunk.s3_storage(
    bucket="ice", prefix="repository", region=os.environ["AWS_REGION"], endpoint_url=os.environ["S3_URL"],
    allow_http=True, force_path_style=True, from_env=True,
)
repository = icechunk.Repository.create(storage)
session = repository.writable_session("main")
array = zarr.create_array(session.store, name="array", shape=(200, 200), chunks=(50, 50), dtype="i4")
array[:] = numpy.arange(40_000).reshape(200, 200)
first = session.commit("first")

# Of two that began on the same state one is told that it is late.
one, two = repository.writable_session("main"), repository.writable_session("main")
zarr.open_array(one.store, path="array", mode="r+")[0, 0] = 1
zarr.open_array(two.store, path="array", mode="r+")[0, 0] = 2
one.commit("one")
try:
    two.commit("two")
except icechunk.ConflictError:
    pass
else:
    raise AssertionError("both commits were taken")
reader = icechunk.Repository.open(storage).readonly_session("main")
assert zarr.open_array(reader.store, path="array", mode="r")[0, 0] == 1
old = repository.readonly_session(snapshot_id=first)
assert zarr.open_array(old.store, path="array", mode="r")[199, 199] == 39_999
