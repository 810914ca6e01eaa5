"""An fsspec file system, so that pandas, pyarrow and others read `juststorage://NAMESPACE/KEY`.

Options: `url`, `token`, `tenant`, and those of `Store`. Needs the package fsspec: `juststorage-client[fsspec]`.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile

from . import _wire
from ._sync.client import Store
from .errors import IntegrityError, NotFound
from .types import Head, Object, Prefix


class JustStorageFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """The objects of a tenant as files. There are no directories: a prefix of a key that ends in `/` looks like one."""

    protocol = "juststorage"
    root_marker = ""
    cachable = True

    def __init__(self, url: str, token: str | None = None, tenant: str = "default", **options: Any) -> None:
        known = {name: options.pop(name) for name in ("retries", "timeout", "verify") if name in options}
        super().__init__(url=url, token=token, tenant=tenant, **known, **options)
        self.store = Store(url, token=token, tenant=tenant, **known)

    def _split(self, path: str) -> tuple[str, str]:
        namespace, _, key = self._strip_protocol(path).partition("/")
        return namespace, key

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        namespace, key = self._split(path)
        if not namespace:
            found = [_directory(name) for name in self.store.namespaces()]
        else:
            found = []
            prefix = f"{key.rstrip('/')}/" if key else ""
            for entry in self.store.objects(namespace, prefix, delimiter="/"):
                if isinstance(entry, Prefix):
                    found.append(_directory(f"{namespace}/{entry.name.rstrip('/')}"))
                elif entry.key:
                    found.append(_file(f"{namespace}/{entry.key}", entry))
            if not found:
                if not key:
                    raise FileNotFoundError(path)
                found = [self._file_info(path)]
        return found if detail else [entry["name"] for entry in found]

    def _file_info(self, path: str) -> dict[str, Any]:
        namespace, key = self._split(path)
        try:
            return _file(f"{namespace}/{key}", self.store.head(namespace, key))
        except NotFound:
            raise FileNotFoundError(path) from None

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        namespace, key = self._split(path)
        if key:
            try:
                return self._file_info(path)
            except FileNotFoundError:
                pass
        prefix = f"{key}/" if key else ""
        if not namespace or next(iter(self.store.objects(namespace, prefix, page=1)), None) is not None:
            return _directory(f"{namespace}/{key}".rstrip("/"))
        raise FileNotFoundError(path)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        namespace, key = self._split(path)
        try:
            if (start or 0) < 0 or (end or 0) < 0:
                size = self.store.head(namespace, key).size
                start, end = (None if at is None else at + size if at < 0 else at for at in (start, end))
            if end is not None and end <= (start or 0):
                return b""
            return self.store.get(namespace, key, start=start, end=end)
        except NotFound:
            raise FileNotFoundError(path) from None

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        self.store.put(*self._split(path), value, if_none_match="*" if mode == "create" else None)

    def put_file(self, lpath: str, rpath: str, **_: Any) -> None:
        self.store.upload_file(*self._split(rpath), lpath)

    def get_file(self, rpath: str, lpath: str, **_: Any) -> None:
        try:
            self.store.download_file(*self._split(rpath), lpath)
        except NotFound:
            raise FileNotFoundError(rpath) from None

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        try:
            self.store.copy(self._split(path1), self._split(path2))
        except NotFound:
            raise FileNotFoundError(path1) from None

    def rm_file(self, path: str) -> None:
        self._file_info(path)
        self.store.delete(*self._split(path))

    def rm(self, path: str | list[str], recursive: bool = False, maxdepth: int | None = None) -> None:
        # What looks like a directory is gone with its last object.
        for found in [found for found in self.expand_path(path, recursive=recursive, maxdepth=maxdepth) if self.isfile(found)]:
            self.rm_file(found)

    def modified(self, path: str) -> Any:
        return self._file_info(path)["modified"]

    def _open(self, path: str, mode: str = "rb", block_size: Any = None, **options: Any) -> _File:
        if mode not in ("rb", "wb"):
            raise ValueError(f"mode {mode}: objects are read or written whole")
        options.pop("autocommit", None)
        return _File(self, path, mode, block_size or _wire.PART_BYTES, **options)


class _File(AbstractBufferedFile):  # type: ignore[misc]
    """Reads by ranges. Writes one request, or parts of one size; the object appears when the file is closed."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        return bytes(self.fs.cat_file(self.path, start, end))

    buffer: io.BytesIO

    def _initiate_upload(self) -> None:
        self._at: tuple[str, str] = self.fs._split(self.path)
        self._upload: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._digests: list[bytes] = []

    def _upload_chunk(self, final: bool = False) -> bool:
        store: Store = self.fs.store
        step = max(self.blocksize, _wire.PART_BYTES_MIN)
        data = self.buffer.getvalue()
        if final and self._upload is None and len(data) <= step:
            store.put(*self._at, data)
            return True
        if self._upload is None:
            self._upload = store.begin_upload(*self._at, metadata={_wire.PART_BYTES_NAME: str(step)})
        while len(data) >= step or (final and data):
            part = store.put_part(self._upload, len(self._parts) + 1, data[:step])
            self._parts.append({"part_number": part.number, "etag": part.etag})
            self._digests.append(hashlib.sha256(data[:step]).digest())
            self.offset += len(data[:step])
            data = data[step:]
        self.buffer = io.BytesIO(data)
        self.buffer.seek(0, io.SEEK_END)
        if final:
            stored = store.complete_upload(self._upload, self._parts)
            if stored.content_hash != _wire.hash_of_parts(self._digests):
                raise IntegrityError(f"the server stored {stored.content_hash}, not what was written")
        # The buffer is in order already.
        return False

    def discard(self) -> None:
        if self._upload is not None:
            self.fs.store.abort_upload(self._upload)


def _directory(name: str) -> dict[str, Any]:
    return {"name": name, "size": 0, "type": "directory"}


def _file(name: str, about: Object | Head) -> dict[str, Any]:
    modified = about.created_at if isinstance(about, Object) else about.last_modified
    return {"name": name, "size": about.size, "type": "file", "etag": about.etag, "modified": modified}
