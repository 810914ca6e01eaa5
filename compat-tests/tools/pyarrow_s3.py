"""pyarrow: datasets over the AWS SDK for C++, with parts, ranges, listings and directories that are none."""

import boto_free
import pyarrow
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet

files = boto_free.filesystem()
files.create_dir("arrow")
table = pyarrow.table({"n": list(range(500_000)), "part": [n % 3 for n in range(500_000)]})
pyarrow.dataset.write_dataset(
    table, "arrow/dataset", filesystem=files, format="parquet", partitioning=["part"],
    existing_data_behavior="delete_matching",
)
read = pyarrow.dataset.dataset("arrow/dataset", filesystem=files, format="parquet", partitioning=["part"])
assert read.to_table(filter=pyarrow.dataset.field("part") == 1).num_rows == 166_667
assert read.count_rows() == 500_000

large = bytes(range(256)) * 60_000
with files.open_output_stream("arrow/large") as out:
    out.write(large)
with files.open_input_file("arrow/large") as source:
    assert source.size() == len(large)
    source.seek(1_000_001)
    assert source.read(10) == large[1_000_001:1_000_011]
    source.seek(0)
    assert source.read() == large

assert files.get_file_info("arrow/none").type == pyarrow.fs.FileType.NotFound
assert files.get_file_info("arrow/dataset").type == pyarrow.fs.FileType.Directory
found = files.get_file_info(pyarrow.fs.FileSelector("arrow", recursive=True))
assert sum(info.is_file for info in found) == 4, found
files.copy_file("arrow/large", "arrow/copy")
files.move("arrow/copy", "arrow/moved")
assert files.get_file_info("arrow/moved").size == len(large)
files.delete_dir("arrow")
