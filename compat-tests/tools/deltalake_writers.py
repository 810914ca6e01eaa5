"""Eight writers append to one Delta table at once, by conditional put: no commit may be lost.

On a store that accepts `If-None-Match: *` and ignores it, commits vanish without a word.
"""

import sys
import concurrent.futures
import os

import boto_free
import deltalake
import pyarrow

WRITERS = 8
ROUNDS = int(os.environ.get("JUSTSTORAGE_DELTA_ROUNDS", "5"))

boto_free.make_bucket("delta")
options = boto_free.options() | {"conditional_put": "etag", "aws_conditional_put": "etag"}
uri = "s3://delta/table"


def append(number):
    rows = pyarrow.table({"writer": [number % WRITERS], "row": [number]})
    deltalake.write_deltalake(
        uri, rows, mode="append", storage_options=options,
        commit_properties=deltalake.CommitProperties(max_commit_retries=200),
    )


append(0)
numbers = range(1, WRITERS * ROUNDS + 1)
with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
    list(pool.map(append, numbers))
table = deltalake.DeltaTable(uri, storage_options=options)
rows = sorted(table.to_pyarrow_table()["row"].to_pylist())
assert rows == [0, *numbers], f"{len(rows)} of {len(numbers) + 1} commits are there"
assert table.version() == len(numbers), table.version()
print(f"{len(rows)} commits of {WRITERS} writers")
sys.stdout.flush()
# The libraries' threads may abort the interpreter while it ends, which is not what is tested.
os._exit(0)
