"""s3fs, under pandas, dask and many others: listings with cache, parts, copies, metadata, versions of etags."""

import os

import s3fs

files = s3fs.S3FileSystem(endpoint_url=os.environ["S3_URL"], key=os.environ["AWS_ACCESS_KEY_ID"],
                          secret=os.environ["AWS_SECRET_ACCESS_KEY"])
files.mkdir("fsspec")
files.pipe("fsspec/dir/a b+c.txt", b"hello")
assert files.cat("fsspec/dir/a b+c.txt") == b"hello"
large = os.urandom(12 << 20)
with files.open("fsspec/large", "wb", block_size=5 << 20) as out:
    out.write(large)
with files.open("fsspec/large", "rb") as source:
    source.seek(6 << 20)
    assert source.read(100) == large[6 << 20:(6 << 20) + 100]
assert files.size("fsspec/large") == len(large)
files.copy("fsspec/large", "fsspec/copy")
assert files.cat("fsspec/copy") == large
assert sorted(files.ls("fsspec", detail=False)) == ["fsspec/copy", "fsspec/dir", "fsspec/large"]
assert files.find("fsspec") == ["fsspec/copy", "fsspec/dir/a b+c.txt", "fsspec/large"]
assert not files.exists("fsspec/none") and files.isdir("fsspec/dir")
with files.open("fsspec/dir/a b+c.txt", "ab") as out:
    out.write(b" again")
assert files.cat("fsspec/dir/a b+c.txt") == b"hello again"
files.setxattr("fsspec/dir/a b+c.txt", colour="red")
assert files.getxattr("fsspec/dir/a b+c.txt", "colour") == "red"
files.rm("fsspec", recursive=True)
assert not files.exists("fsspec")
