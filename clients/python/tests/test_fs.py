"""Through fsspec, as pandas and pyarrow would."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import fsspec
import pytest
from conftest import Server

from juststorage.fs import JustStorageFileSystem


@pytest.fixture
def fs(server: Server, namespace: str) -> Iterator[JustStorageFileSystem]:
    fs = JustStorageFileSystem(server.url, tenant="acme", skip_instance_cache=True)
    fs.pipe_file(f"{namespace}/a/b", b"hello")
    yield fs
    fs.store.close()


def test_files_and_prefixes(fs: JustStorageFileSystem, namespace: str) -> None:
    fs.pipe_file(f"{namespace}/top", b"1")
    assert namespace in fs.ls("", detail=False)
    assert sorted(fs.ls(namespace, detail=False)) == [f"{namespace}/a", f"{namespace}/top"]
    assert fs.ls(f"juststorage://{namespace}/a", detail=False) == [f"{namespace}/a/b"]
    assert fs.ls(f"{namespace}/a/b", detail=False) == [f"{namespace}/a/b"]
    assert fs.info(f"{namespace}/a/b")["size"] == 5 and fs.isdir(f"{namespace}/a") and fs.isfile(f"{namespace}/a/b")
    assert sorted(fs.find(namespace)) == [f"{namespace}/a/b", f"{namespace}/top"]
    assert fs.glob(f"{namespace}/*/b") == [f"{namespace}/a/b"]
    assert fs.modified(f"{namespace}/a/b").tzinfo is not None
    fs.cp_file(f"{namespace}/a/b", f"{namespace}/a/c")
    assert fs.cat(f"{namespace}/a/*") == {f"{namespace}/a/b": b"hello", f"{namespace}/a/c": b"hello"}
    fs.rm(f"{namespace}/a", recursive=True)
    assert not fs.exists(f"{namespace}/a")
    for call in (fs.ls, fs.info, fs.cat_file, fs.rm_file):
        with pytest.raises(FileNotFoundError):
            call(f"{namespace}/none")


def test_ranges(fs: JustStorageFileSystem, namespace: str) -> None:
    path = f"{namespace}/a/b"
    assert (fs.cat_file(path, 1, 3), fs.cat_file(path, -2), fs.cat_file(path, 0, -1)) == (b"el", b"lo", b"hell")
    assert fs.cat_file(path, 3, 3) == b""
    with fs.open(path, "rb", block_size=2) as file:
        file.seek(-3, os.SEEK_END)
        assert file.read() == b"llo"


@pytest.mark.parametrize("size", [0, 5, 6_000_000, 13_000_000])
def test_written_files(fs: JustStorageFileSystem, namespace: str, size: int, tmp_path: pathlib.Path) -> None:
    data = os.urandom(size)
    path = f"{namespace}/written"
    with fs.open(path, "wb", block_size=5 * 1024 * 1024) as file:
        for begin in range(0, size, 700_000):
            file.write(data[begin : begin + 700_000])
        # Nothing is seen before the end.
        assert not fs.exists(path)
    assert fs.cat_file(path) == data
    (tmp_path / "up").write_bytes(data)
    fs.put_file(str(tmp_path / "up"), f"{path}-2")
    fs.get_file(f"{path}-2", str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == data


def test_by_url(server: Server, fs: JustStorageFileSystem, namespace: str) -> None:
    fsspec.register_implementation("juststorage", JustStorageFileSystem, clobber=True)
    url = f"juststorage://{namespace}/a/b"
    with fsspec.open(url, "rb", url=server.url, tenant="acme", skip_instance_cache=True) as file:
        assert file.read() == b"hello"
        file.fs.store.close()
    with pytest.raises(ValueError):
        fs.open(f"{namespace}/a/b", "ab")
